"""Products of two tensors: masks, and gates."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.accounting import Macs
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.quantized_layer import QuantizedLayer, Quantizer
from pipeline.quantization.grid import ProductQuantizer


class Multiply(nn.Module):
    """Mask product."""

    def forward(self, mask: Tensor, features: Tensor) -> Tensor:
        return mask * features

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """The paper counts an element as one."""
        return Macs(output.numel(), 0)


class GateProduct(Multiply):
    """The product of a value and its gate."""


class QuantizedMultiply(QuantizedLayer):
    """Mask product of two int8 tensors."""

    def forward(self, mask: Tensor, features: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(mask * features)
        return result


class QuantizedGateProduct(QuantizedMultiply):
    """Product of two int8 tensors that is the same on every runtime."""

    def __init__(self, layer: GateProduct) -> None:
        super().__init__(layer)
        self.output_quantizer: ProductQuantizer = ProductQuantizer()

    def connect(self, inputs: list[Quantizer]) -> None:
        super().connect(inputs)
        self.output_quantizer.factors = list(inputs)


def emit_multiply(graph: GraphBuilder, layer: QuantizedMultiply, inputs: list[Value], name: str) -> Value:
    """Mul."""
    x, y = inputs
    edge = graph.node("Mul", [graph.read(x), graph.read(y)], f"{name}/mul")
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_float_multiply(graph: FloatGraph, layer: Multiply, inputs: list[str], name: str) -> str:
    """Mul, for each of the sources."""
    return graph.add("Mul", inputs, f"{name}.{inputs[0]}")


MULTIPLY = Layer(Multiply, Twin(QuantizedMultiply, emit_multiply), emit_float_multiply)
GATE_PRODUCT = Layer(GateProduct, Twin(QuantizedGateProduct, emit_multiply), emit_float_multiply)
