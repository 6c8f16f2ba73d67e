"""PReLUs as ONNX nodes."""

from __future__ import annotations

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.prelu.quantized import QuantizedPrelu


def emit_prelu(graph: GraphBuilder, layer: QuantizedPrelu, inputs: list[Value], name: str) -> Value:
    """LeakyRelu on one grid; its input is written on it here."""
    (x,) = inputs
    edge = x.name if x.scale is None else graph.read(x)  # codes where a rearrangement stands before it
    before = graph.write(edge, f"{name}.in", x.channels, x.frames, layer.output_quantizer)
    edge = graph.node("LeakyRelu", [graph.read(before)], f"{name}/leaky_relu", alpha=float(layer.slope().item()))
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_float_prelu(graph: FloatGraph, layer: Prelu, inputs: list[str], name: str) -> str:
    """PRelu."""
    return graph.add("PRelu", [inputs[0], graph.constant(f"{name}.slope", layer.weight.reshape(1, 1))], name)
