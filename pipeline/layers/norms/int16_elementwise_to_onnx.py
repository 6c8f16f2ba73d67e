"""B14, the integer gLN for NPUs, as plain QDQ ONNX nodes on int16 and int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.norms.int16_elementwise import NormB14


def emit_norm_b14(graph: GraphBuilder, layer: NormB14, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`pipeline.layers.norms.int16_elementwise.NormB14`."""
    (x,) = inputs
    c = layer.constants()
    scale = {key: np.float32(value.item()) for key, value in vars(c).items() if not key.endswith("codes")}

    def int16(edge: str, output: str, grid: np.float32) -> str:
        return graph.dequantize(graph.quantize(edge, output, grid, 0, np.int16), grid, dtype=np.int16)

    def mean(edge: str, output: str, axis: int, grid: np.float32) -> str:
        axes = graph.const("axes/time" if axis == 2 else "axes/channels", [axis], np.int64)
        return int16(graph.node("ReduceMean", [edge, axes], f"{output}_float", keepdims=1), output, grid)

    def constant(codes: Any, output: str, grid: np.float32) -> str:
        return graph.dequantize(graph.const(output, codes.numpy().reshape(1, -1, 1), np.int16), grid, dtype=np.int16)

    wide = int16(graph.read(x), f"{name}/wide", scale["step"])
    centre = mean(mean(wide, f"{name}/mean_time", 2, scale["step"]), f"{name}/mean", 1, scale["step"])
    deviation = int16(graph.node("Sub", [wide, centre], f"{name}/sub"), f"{name}/deviation", scale["step"])
    square = int16(graph.node("Mul", [deviation, deviation], f"{name}/square_mul"), f"{name}/square", scale["square_scale"])
    variance = mean(mean(square, f"{name}/variance_time", 2, scale["square_scale"]), f"{name}/variance16", 1, scale["variance16_scale"])
    graph.quantize(variance, f"{name}/variance8", scale["variance_scale"], -128)
    least = graph.const(f"{name}/variance_least", [[[-127]]], np.int8)
    graph.node("Max", [f"{name}/variance8", least], f"{name}/variance")
    root = graph.node("Sqrt", [graph.dequantize(f"{name}/variance", scale["variance_scale"], -128)], f"{name}/root")
    graph.quantize(graph.node("Reciprocal", [root], f"{name}/reciprocal"), f"{name}/rstd", scale["rstd_scale"], -128)
    rstd = int16(graph.dequantize(f"{name}/rstd", scale["rstd_scale"], -128), f"{name}/rstd16", np.float32(scale["rstd_scale"] / 128))
    gamma = constant(c.gamma_codes, f"{name}/gamma", scale["gamma_scale"])
    gain = int16(graph.node("Mul", [rstd, gamma], f"{name}/gain_mul"), f"{name}/gain", scale["gain_scale"])
    normalised = int16(graph.node("Mul", [deviation, gain], f"{name}/normalise"), f"{name}/normalised", scale["normalised_scale"])
    beta = constant(c.beta_codes, f"{name}/beta", scale["beta_scale"])
    output16 = int16(graph.node("Add", [normalised, beta], f"{name}/shift"), f"{name}/output16", scale["output16_scale"])
    return graph.write(output16, name, x.channels, x.frames, layer.output_quantizer)
