"""Statistics of gLN in integers: frame energies by a matrix product, scalars in int32, and a table of 256 reciprocal roots.

Several recipes take the mean and the reciprocal deviation from here. All integers below are those that the ONNX nodes and the TFLite ops
hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.export.qdq_graph import INT32, GraphBuilder, Value
from pipeline.layers.quantized_norm import HEADROOM, LEAST_VARIANCE, Moments, QuantizedNorm


@dataclass(frozen=True)
class StatisticsConstants:
    """Constants of one norm. Scales are of real values; ``x_scale`` is the input's.

    ``energy_divisor`` D: a frame's energy code is mean(q^2) * 128 / D. ``variance_scale`` and ``rstd_scale``: of the int8
    variance and of its reciprocal root, per code of x. ``variance_floor``: the least int32 variance.
    """

    x_scale: Tensor
    energy_divisor: Tensor
    variance_scale: Tensor
    rstd_scale: Tensor
    variance_floor: Tensor


@dataclass(frozen=True)
class CodeMoments(Moments):
    """Means of the codes of x less the zero point, which are whole numbers: their sums are exact, and so are ties.

    ``channel_codes`` [B, 1, C]: mean code of each channel. ``energy_codes`` [B, T, 1]: mean square of each frame.
    """

    channel_codes: Tensor
    energy_codes: Tensor


class IntegerStatisticsNorm(QuantizedNorm):
    """Base of the recipes with an 8-bit variance and an 8-bit reciprocal root."""

    def constants(self) -> StatisticsConstants:
        """The integer recipe's constants from the observed statistics."""
        with torch.no_grad():
            x_scale = self.input_scale()
            square = x_scale.square()
            divisor = torch.ceil(1.1 * 128 * self.energy_max / square / 255).clamp(min=1)
            variance_scale = self.variance_max / square * HEADROOM**2 / 255
            return StatisticsConstants(
                x_scale=x_scale,
                energy_divisor=divisor,
                variance_scale=variance_scale,
                rstd_scale=HEADROOM / (self.variance_min / square).sqrt() / 127,
                variance_floor=torch.ceil(variance_scale * 16384 / divisor),
            )

    def rstd_grid(self) -> Tensor:
        """The scale of the int8 reciprocal deviation as the files hold it, a factor of x."""
        c = self.constants()
        return c.rstd_scale / c.x_scale

    def moments(self, x: Tensor) -> CodeMoments:
        scale = self.input_scale()
        codes = x / scale
        channels = codes.mean(1, keepdim=True)
        energies = codes.square_().mean(2, keepdim=True)
        mean, mean_energy = scale * channels.mean(2, keepdim=True), scale.square() * energies.mean(1, keepdim=True)
        variance = (mean_energy - mean.square()).clamp(min=LEAST_VARIANCE)
        return CodeMoments(mean, variance, scale.square() * energies, channels, energies)

    def statistics(self, moments: CodeMoments, c: StatisticsConstants) -> tuple[Tensor, Tensor]:
        """(M, A): 128 * mean in codes of x, and the int8 code of the reciprocal deviation; [B, 1, 1]."""
        mean = torch.round(128 * torch.round(moments.channel_codes).mean(2, keepdim=True))
        energy = torch.round(moments.energy_codes * 128 / c.energy_divisor).clamp(0, 255)
        energy = torch.round(128 * energy.mean(1, keepdim=True))
        variance = (energy - torch.trunc(mean.square() / c.energy_divisor)).maximum(c.variance_floor)
        code = torch.round(variance * c.energy_divisor / 16384 / c.variance_scale).clamp(1, 255)
        return mean, torch.round(torch.rsqrt(code * c.variance_scale) / c.rstd_scale).clamp(max=127)


def emit_statistics(graph: GraphBuilder, layer: IntegerStatisticsNorm, x: Value, name: str) -> tuple[str, str]:
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
