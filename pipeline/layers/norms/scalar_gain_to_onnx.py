"""C25, the fast integer gLN for CPUs, as plain ONNX nodes: statistics of C23, then one difference and one product."""

from __future__ import annotations

import numpy as np

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.norms.runtime_filter_to_onnx import emit_statistics
from pipeline.layers.norms.scalar_gain import NormC25


def emit_norm_c25(graph: GraphBuilder, layer: NormC25, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`pipeline.layers.norms.scalar_gain.NormC25`; the scalars are of rank 1."""
    (x,) = inputs
    mean16, rstd = emit_statistics(graph, layer, x, name)
    scale, zero_point = layer.mean_grid()
    mean_scale, mean_zero = np.float32(scale.item()), int(zero_point.item())
    graph.quantize(graph.dequantize(mean16, np.float32(x.grid() / 128), dtype=np.int16), f"{name}/centre", mean_scale, mean_zero)
    centre = graph.dequantize(f"{name}/centre", mean_scale, mean_zero)
    difference = graph.node("Sub", [graph.read(x), centre], f"{name}/diff_float")
    centred = graph.write(difference, f"{name}/diff", x.channels, x.frames, layer.centred_quantizer)
    gain = graph.dequantize(rstd, np.float32(layer.rstd_grid().item()))
    product = graph.node("Mul", [graph.read(centred), gain], f"{name}/normalised")
    return graph.write(product, name, x.channels, x.frames, layer.output_quantizer)
