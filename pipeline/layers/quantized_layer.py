"""Base of the quantized twins of layers; tensors are channels-last [B, T, C].

A twin takes over its float layer's parameters. Its input is already on a grid; ``input_quantizers`` are the grids of its inputs, in
order, and ``output_quantizer`` the grid of its output. A layer followed by a PReLU has none of its own: the PReLU has one grid for its
input and its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, straight_through

Quantizer = ActivationQuantizer | FixedQuantizer


@dataclass(frozen=True)
class TableLookup:
    """A kernel that reads ``function`` (sigmoid or tanh) of ``slope`` times its input from a table for the 256 codes of a grid."""

    quantizer: Quantizer
    function: str
    slope: float = 1.0


@dataclass(frozen=True)
class GainProduct:
    """A product of codes with one scalar code that is computed at run time, 1 to ``largest``, on the grid of ``result``.

    ``multiplier``: what a product of two codes is worth in steps of the result, which depends on the result's grid.
    """

    factor: Quantizer
    result: Quantizer
    multiplier: Callable[[], float]
    largest: int = 127


class QuantizedLayer(nn.Module):
    """Base of the twins; made of the float layer, which those that have nothing of their own ignore.

    ``quantizes_input``: of a layer that puts its input on its own grid; what is before it has none of its own then.
    """

    quantizes_input: ClassVar[bool] = False

    def __init__(self, _: nn.Module | None = None) -> None:
        super().__init__()
        self.output_quantizer: ActivationQuantizer | FixedQuantizer | nn.Identity = ActivationQuantizer()
        self.input_quantizers: list[Quantizer] = []

    def connect(self, inputs: list[Quantizer]) -> None:
        """Tell the layer the grids of its inputs."""
        self.input_quantizers = inputs

    def read_from(self, producers: list[QuantizedLayer]) -> None:
        """Tell the layer which layers make its inputs, in order; for those that have to do with more than grids."""

    def grid_quantizer(self) -> Quantizer | None:
        """The quantizer whose grid the output lies on; None where the output is on none yet."""
        return None if isinstance(self.output_quantizer, nn.Identity) else self.output_quantizer

    def table_lookups(self) -> list[TableLookup]:
        """The tables of sigmoids and tanhs that the kernels of this layer read."""
        return []

    def gain_products(self) -> list[GainProduct]:
        """The products with a scalar of this layer."""
        return []


def quantized_bias(bias: Tensor, input_scale: Tensor | float, weight_scale: Tensor) -> Tensor:
    """A bias on its int32 grid, whose step is input_scale * weight_scale of each channel [C]."""
    step = input_scale * weight_scale
    return straight_through(torch.round(bias / step) * step, bias)


class Rearrangement(QuantizedLayer):
    """Base of the layers that move codes or leave some out: the output lies on the input's grid."""

    def __init__(self, _: nn.Module | None = None) -> None:
        super().__init__()
        self.output_quantizer = nn.Identity()

    def read_from(self, producers: list[QuantizedLayer]) -> None:
        """Tell the layer which layers make its inputs, in order; for those that have to do with more than grids."""

    def grid_quantizer(self) -> Quantizer | None:
        return self.input_quantizers[0] if self.input_quantizers else None  # of what enters the network
