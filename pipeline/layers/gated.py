"""Gated linear units by layers that have a quantized form."""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.layers.activation import Activation
from pipeline.layers.multiply import GateProduct


class Gated(nn.Module):
    """The product of a value and the sigmoid of a gate, both made of x."""

    def __init__(self, value: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.value, self.gate, self.sigmoid, self.product = value, gate, Activation("sigmoid"), GateProduct()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.product(self.value(x), self.sigmoid(self.gate(x)))
        return result
