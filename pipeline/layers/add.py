"""Residual and skip sums."""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.quantized_layer import QuantizedLayer


class Add(nn.Module):
    """Residual or skip sum of two tensors of one shape."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class QuantizedAdd(QuantizedLayer):
    """Residual or skip sum of two int8 tensors."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(x + y)
        return result


def emit_add(graph: GraphBuilder, layer: QuantizedAdd, inputs: list[Value], name: str) -> Value:
    """Add."""
    x, y = inputs
    edge = graph.node("Add", [graph.read(x), graph.read(y)], f"{name}/add")
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_float_add(graph: FloatGraph, layer: Add, inputs: list[str], name: str) -> str:
    """Add."""
    return graph.add("Add", inputs, name)


ADD = Layer(Add, Twin(QuantizedAdd, emit_add), emit_float_add)
