"""The integer cLN as plain ONNX nodes; what belongs to a frame is [1, 1, T]."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pipeline.export.qdq_graph import INT32, GraphBuilder, Value
from pipeline.layers.channel_norm.quantized import TIE_BREAK, QuantizedChannelNorm
from pipeline.quantization.grid import QMIN, WEIGHT_QMAX


def emit_channel_norm(graph: GraphBuilder, layer: QuantizedChannelNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`QuantizedChannelNorm`."""
    (x,) = inputs
    c = layer.constants()
    zero_point = int(c.zero_point.item())
    deviation = _centred(graph, x, f"{name}/deviation", zero_point)
    index = energy_index(graph, deviation, graph.const("axes/channels", [1], np.int64), c.energy_scales, f"{name}/energy")
    table = graph.const("norm/amplifications", layer.amplifications.numpy(), np.int8)
    gain = graph.dequantize(graph.node("Gather", [table, index], f"{name}/amplification"), np.float32(1))
    product = graph.node("Mul", [graph.read(deviation), gain], f"{name}/amplify")
    amplified = graph.write_on(product, f"{name}/amplified", x.channels, x.frames, x.grid(), zero_point)
    centred = _centred(graph, amplified, f"{name}/centred", zero_point)
    index = energy_index(graph, centred, graph.const("axes/channels", [1], np.int64), c.amplified_scales, f"{name}/amplified_energy")
    table = graph.const("norm/gains", layer.gains.numpy() + QMIN, np.int8)
    gain = graph.dequantize(graph.node("Gather", [table, index], f"{name}/gain"), np.float32(c.gain_scale.item()), QMIN)
    product = graph.node("Mul", [graph.read(centred), gain], f"{name}/normalise")
    return graph.write(product, name, x.channels, x.frames, layer.output_quantizer)


def _centred(graph: GraphBuilder, x: Value, name: str, zero_point: int) -> Value:
    """x less its mean over the channels, in whole codes of x."""
    mean = minus_mean(graph, x, name)
    edge = graph.node("Add", [graph.read(x), graph.read(mean)], f"{name}_float")
    return graph.write_on(edge, name, x.channels, x.frames, x.grid(), zero_point)


def minus_mean(graph: GraphBuilder, x: Value, name: str) -> Value:
    """The negative mean over the channels, in whole codes of x: sums with it are faster than differences. ``name``: of the deviation."""
    weight_scale = np.array([1 / (WEIGHT_QMAX * x.channels)], np.float32)
    weight = graph.weight(f"norm/minus_mean_{x.channels}", np.full((1, x.channels, 1), -WEIGHT_QMAX), weight_scale, axis=0)
    tie_break = graph.const(f"{name}/tie_break", [TIE_BREAK], np.int32)
    bias = graph.dequantize(tie_break, x.grid() * weight_scale, dtype=np.int32, axis=0)
    edge = graph.node("Conv", [graph.read(x), weight, bias], f"{name}/minus_mean_float")
    return graph.write_on(edge, f"{name}/minus_mean", 1, x.frames, x.grid(), -1 - x.zero_point)


def energy_index(graph: GraphBuilder, x: Value, axes: str, scales: tuple[Tensor, Tensor], name: str, suffix: str = "") -> str:
    """int32: the sum of the coarse and the fine code of the energy over ``axes`` of x, both counted from 0. ``suffix``: of the names."""
    codes = []
    for kind, scale in zip(("coarse", "fine"), scales, strict=True):
        edge = graph.node("ReduceSumSquare", [graph.read(x), axes], f"{name}_{kind}_float", keepdims=1)
        code = graph.quantize(edge, f"{name}_{kind}{suffix}", np.float32(scale.item()), QMIN)
        codes.append(graph.node("Cast", [code], f"{name}_{kind}32{suffix}", to=INT32))
    total = graph.node("Add", codes, f"{name}_sum{suffix}")
    return graph.node("Add", [total, graph.const("norm/energy_offset", [-2 * QMIN], np.int32)], f"{name}_index{suffix}")
