"""Grids that the kernels of LOGISTIC, SOFTMAX and TANH fix."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.quantization.grid import FixedQuantizer, straight_through


class LogisticQuantizer(FixedQuantizer):
    """The only int8 grid that the kernels of LOGISTIC and SOFTMAX have: scale 1/256, zero_point -128, for values of 0 to 255/256."""

    def __init__(self) -> None:
        super().__init__(1 / 256)

    def grid(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.scale), torch.tensor(-128.0)

    def forward(self, x: Tensor) -> Tensor:
        clipped = x.clamp(0, 255 * self.scale)
        return x if self.observing else straight_through(torch.round(clipped / self.scale) * self.scale, clipped)


class TanhQuantizer(FixedQuantizer):
    """The only int8 grid that the kernels of TANH have: scale 1/128, zero_point 0."""

    def __init__(self) -> None:
        super().__init__(1 / 128)
