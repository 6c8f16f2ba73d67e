"""Quantized sums of a tensor and a table, which has a grid of its own."""

from __future__ import annotations

from torch import Tensor

from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.layers.tables.float import PositionTable, Table
from pipeline.quantization.grid import ActivationQuantizer


class QuantizedTable(QuantizedLayer):
    """Adds a table, on a grid of its own."""

    def __init__(self, layer: Table) -> None:
        super().__init__()
        self.layer = layer
        self.table_quantizer = ActivationQuantizer()

    def rows(self, bins: int, frames: int) -> Tensor:
        """The quantized rows [bins or 1, frames or 1, C]."""
        rows: Tensor = self.table_quantizer(self.layer.rows(bins, frames))
        return rows

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows(x.shape[1] if x.dim() == 4 else 1, x.shape[-2])
        result: Tensor = self.output_quantizer(x + (rows if x.dim() == 4 else rows[0]))
        return result


class QuantizedPositionTable(QuantizedLayer):
    """Adds a constant table, on a grid of its own, to sequences [..., L, C].

    The grid is observed and not trained: layers with the same rows keep the same codes, which a file stores once.
    """

    def __init__(self, layer: PositionTable) -> None:
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
