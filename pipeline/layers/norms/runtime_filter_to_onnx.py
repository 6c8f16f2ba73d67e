"""C23, the integer gLN for CPUs, as plain ONNX nodes. Scalars are of rank 1, so that the bias is [C] without a Reshape."""

from __future__ import annotations

import numpy as np

from pipeline.export.qdq_graph import INT8, INT32, GraphBuilder, Value
from pipeline.layers.norms.runtime_filter import NormC23


def emit_norm_c23(graph: GraphBuilder, layer: NormC23, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`pipeline.layers.norms.runtime_filter.NormC23`."""
    (x,) = inputs
    c = layer.constants()
    sign = layer.gamma_sign().numpy()
    mean_code, rstd_code = emit_statistics(graph, layer, x, name)
    mean, rstd = f"{mean_code}32", widen(graph, rstd_code)  # the statistics have widened the mean
    signed = graph.node("Mul", [rstd, graph.const(f"{name}/sign_filter", sign.reshape(-1, 1, 1), np.int32)], f"{name}/gain_wide")
    gain = graph.node("Cast", [signed], f"{name}/gain", to=INT8)
    gain_scale = c.gain_scale.numpy().astype(np.float32)
    shift = graph.node("Mul", [mean, rstd], f"{name}/shift_wide")
    shift = graph.node("Div", [shift, graph.const("norm/128", [128], np.int32)], f"{name}/shift")
    signed_shift = graph.node("Mul", [shift, graph.const(f"{name}/sign", sign, np.int32)], f"{name}/shift_signed")
    beta = graph.const(f"{name}/beta", c.beta_codes.numpy(), np.int32)
    bias = graph.node("Sub", [beta, signed_shift], f"{name}/bias")
    operands = [
        graph.read(x),
        graph.dequantize(gain, gain_scale, axis=0),
        graph.dequantize(bias, (x.grid() * gain_scale).astype(np.float32), dtype=np.int32, axis=0),
    ]
    edge = graph.node("Conv", operands, f"{name}/affine", group=x.channels)
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_statistics(graph: GraphBuilder, layer: NormC23, x: Value, name: str) -> tuple[str, str]:
    """(int16 [1] mean at x_scale / 128, int8 [1] reciprocal deviation at rstd_scale / x_scale): the names of the codes."""
    c = layer.constants()
    square = np.float32(x.grid() * x.grid())
    divisor = int(c.energy_divisor.item())
    mean_code = _mean_of_channels(graph, x, name)
    mean = widen(graph, mean_code)
    energy_scale = np.float32(square * x.channels * divisor / 128)
    squares = graph.node("ReduceSumSquare", [graph.read(x), graph.const("axes/channels", [1], np.int64)], f"{name}/squares", keepdims=1)
    energy = Value(graph.quantize(squares, f"{name}/energy", energy_scale, -128), 1, x.frames, energy_scale, -128)
    energy_mean = widen(graph, _scalar_mean(graph, graph.read(energy), f"{name}/e", np.float32(energy_scale / 128)))

    product = graph.node("Mul", [mean, mean], f"{name}/mm")
    centre = graph.node("Div", [product, graph.const(f"{name}/divisor", [divisor], np.int32)], f"{name}/mm_d")
    difference = graph.node("Sub", [energy_mean, centre], f"{name}/var")
    floor = graph.const(f"{name}/variance_floor", [int(c.variance_floor.item())], np.int32)
    variance32 = graph.node("Max", [difference, floor], f"{name}/var32")
    edge = graph.dequantize(variance32, np.float32(square * divisor / 16384), dtype=np.int32)
    variance_scale = np.float32(c.variance_scale.item() * square)
    graph.quantize(edge, f"{name}/var8", variance_scale, -128)
    root = graph.node("Sqrt", [graph.dequantize(f"{name}/var8", variance_scale, -128)], f"{name}/deviation")
    reciprocal = graph.node("Reciprocal", [root], f"{name}/reciprocal")
    return mean_code, graph.quantize(reciprocal, f"{name}/rstd", np.float32(layer.rstd_grid().item()), 0)


def widen(graph: GraphBuilder, code: str) -> str:
    """The codes as int32."""
    return graph.node("Cast", [code], f"{code}32", to=INT32)


def _mean_of_channels(graph: GraphBuilder, x: Value, name: str) -> str:
    """int16 [1]: 128 times the mean code of x."""
    time = graph.const("axes/time", [2], np.int64)
    over_time = graph.node("ReduceMean", [graph.read(x), time], f"{name}/mean8_float", keepdims=1)
    per_channel = Value(graph.quantize(over_time, f"{name}/mean8", x.grid(), x.zero_point), x.channels, 1, x.scale, x.zero_point)
    return _scalar_mean(graph, graph.read(per_channel), f"{name}/m", np.float32(x.grid() / 128))


def _scalar_mean(graph: GraphBuilder, edge: str, name: str, scale: np.float32) -> str:
    """int16 [1]: the mean of a tensor, at an int16 ``scale``."""
    wide = graph.dequantize(graph.quantize(edge, f"{name}16", scale, 0, np.int16), scale, dtype=np.int16)
    mean = graph.node("ReduceMean", [wide, graph.const("axes/all", [1, 2], np.int64)], f"{name}_float", keepdims=0)
    return graph.quantize(mean, f"{name}_all", scale, 0, np.int16)
