"""Quantized twins of the layers in ``pipeline/layers/attention/float.py`` that have no plainer form; sequences are [..., L, C]."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.layers.attention import float as float_layers
from pipeline.layers.elementwise.quantized import LogisticQuantizer, QuantizedLayer
from pipeline.quantization.grid import ActivationQuantizer


class AttentionHeads(QuantizedLayer):
    """Queries, keys and values [..., L, 3 C] to the heads' outputs [..., L, C]; the logits of all heads have one grid, and so do outputs.

    The weights of the sum are on the kernel's grid: those below 1/512 are 0.
    """

    def __init__(self, layer: float_layers.AttentionHeads) -> None:
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


class PositionTable(QuantizedLayer):
    """Adds a constant table, on a grid of its own, to sequences [..., L, C].

    The grid is observed and not trained: layers with the same rows keep the same codes, which a file stores once.
    """

    def __init__(self, layer: float_layers.PositionTable) -> None:
        super().__init__()
        self.layer = layer
        self.table_quantizer = ActivationQuantizer().requires_grad_(False)

    def table(self, length: int) -> Tensor:
        """The quantized rows [1, L, C]."""
        rows: Tensor = self.table_quantizer(self.layer.rows(length))
        return rows

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(x + self.table(x.shape[-2]))
        return result
