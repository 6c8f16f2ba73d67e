"""gLN and cLN as float ONNX nodes."""

from __future__ import annotations

import numpy as np

from pipeline.export.float_graph import FloatGraph
from pipeline.layers.global_norm.float import GlobalLayerNorm


def emit_float_norm(graph: FloatGraph, layer: GlobalLayerNorm, inputs: list[str], name: str) -> str:
    """Means of x and of the squares of what is left, and a division by the root."""
    axes = [{1: 2, 2: 1}[axis] for axis in layer.axes]  # [B, T, C] in the layer, [B, C, T] here
    mean = graph.add("ReduceMean", inputs, f"{name}.mean", axes=sorted(axes), keepdims=1)
    centred = graph.add("Sub", [inputs[0], mean], f"{name}.centred")
    squares = graph.add("Mul", [centred, centred], f"{name}.squares")
    variance = graph.add("ReduceMean", [squares], f"{name}.variance", axes=sorted(axes), keepdims=1)
    eps = graph.constant(f"{name}.eps", np.full((1, 1, 1), layer.eps, np.float32))
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, eps], f"{name}.stable")], f"{name}.deviation")
    normed = graph.add("Div", [centred, deviation], f"{name}.normed")
    scaled = graph.add("Mul", [normed, graph.constant(f"{name}.gamma", layer.gamma[None, :, None])], f"{name}.scaled")
    return graph.add("Add", [scaled, graph.constant(f"{name}.beta", layer.beta[None, :, None])], name)
