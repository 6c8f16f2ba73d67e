"""The heads of an attention between its projections, on int8."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pipeline.layers.attention.float import AttentionHeads, CrossHeads
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.grid import ActivationQuantizer, straight_through
from pipeline.quantization.kernel_grids import LogisticQuantizer


class QuantizedAttentionHeads(QuantizedLayer):
    """Queries, keys and values [..., L, 3 C] to the heads' outputs [..., L, C]; the logits of all heads have one grid, and so do outputs.

    The weights of the sum are on the kernel's grid: those below 1/512 are 0.
    """

    def __init__(self, layer: AttentionHeads) -> None:
        super().__init__()
        self.heads = layer.heads
        self.logits_quantizer, self.weights_quantizer = ActivationQuantizer(), LogisticQuantizer()

    def forward(self, projected: Tensor) -> Tensor:
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for part in projected.chunk(3, -1))
        logits = self.logits_quantizer(query @ key.transpose(-1, -2))  # [..., heads, L, L]
        weights = self.weights_quantizer(torch.softmax(logits, -1))
        outputs = (weights @ value).transpose(-2, -3).flatten(-2)
        result: Tensor = self.output_quantizer(outputs)
        return result


class QuantizedCrossHeads(QuantizedLayer):
    """Queries [B, L, C], keys and values [B, M, 2 C] to the heads' outputs [B, L, C]; grids as in AttentionHeads.

    Of more than ``LONGEST`` keys an int8 softmax would leave 0 alone: then its output is int16, and the weights get a learned grid.
    """

    LONGEST: ClassVar[int] = 511
    WIDE_GRID: ClassVar[tuple[float, int]] = (2.0**-16, -32768)  # scale and zero_point, which the kernels fix

    def __init__(self, layer: CrossHeads) -> None:
        super().__init__()
        self.heads = layer.heads
        self.logits_quantizer, self.weights_quantizer = ActivationQuantizer(), LogisticQuantizer()
        self.long_weights_quantizer = ActivationQuantizer()

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for part in (query, *memory.chunk(2, -1)))
        weights = torch.softmax(self.logits_quantizer(query @ key.transpose(-1, -2)), -1)
        if key.shape[-2] <= self.LONGEST:
            weights = self.weights_quantizer(weights)
        else:
            wide = (weights * 2**16).round().clamp(max=2**16 - 1) * 2**-16
            weights = self.long_weights_quantizer(straight_through(wide, weights))
        result: Tensor = self.output_quantizer((weights @ value).transpose(-2, -3).flatten(-2))
        return result
