"""gLN: statistics over all frames and channels of an example; [B, ..., C]."""

from __future__ import annotations

from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from pipeline.layers.accounting import Macs


def at_least_float32(x: Tensor) -> Tensor:
    """Squares of half precision overflow or vanish; float64 stays what it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class GlobalLayerNorm(nn.Module):
    """gLN (Luo and Mesgarani 2019, eq. 12-14): statistics over all frames and channels of an example; [B, ..., C]."""

    axes: tuple[int, ...] = (1, 2)

    def __init__(self, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = at_least_float32(x).flatten(1, -2)
        mean = self.statistic(wide)
        variance = self.statistic(wide.square()) - mean.square()
        return (self.gamma * (wide - mean) * torch.rsqrt(variance.clamp(min=0) + self.eps) + self.beta).to(x.dtype).view(x.shape)

    def statistic(self, x: Tensor) -> Tensor:
        """The mean over ``axes``, one axis after the other and spread over the channels: [B, 1, C] or [B, T, C].

        The compiler reduces two axes at once by transposing them, in both directions, which takes most of a training step.
        """
        for axis in self.axes:
            x = x.mean(axis, keepdim=True)
        return x.expand(-1, -1, len(self.gamma))

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """The paper counts an element as two."""
        return Macs(2 * inputs[0].numel(), 0)

    @classmethod
    def with_affine(cls, gamma: Tensor, beta: Tensor, eps: float) -> Self:
        """A norm with these parameters [C]."""
        made = cls(len(gamma), eps)
        made.gamma, made.beta = cast(nn.Parameter, gamma), cast(nn.Parameter, beta)
        return made


class GroupNorm(nn.GroupNorm):
    """Norm over all places and channels of an example, [B, ..., C]: gLN as torch has it, whose parameters are ``weight`` and ``bias``."""

    plain_form: ClassVar[type[GlobalLayerNorm]] = GlobalLayerNorm

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(1, channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)

    def plain(self) -> GlobalLayerNorm:
        """The norm with these parameters."""
        return self.plain_form.with_affine(self.weight, self.bias, self.eps)

    def without_affine(self) -> GlobalLayerNorm:
        """The norm with the constants 1 and 0 instead."""
        return self.plain_form(self.num_channels, self.eps).requires_grad_(False)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """The paper counts an element as two."""
        return Macs(2 * inputs[0].numel(), 0)
