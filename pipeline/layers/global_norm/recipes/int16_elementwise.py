"""Integer gLN of int16 element-wise ops and one int8 table, without int32 arithmetic, for NPUs (Ethos-U).

All integers below are those that the ONNX nodes and the TFLite ops hold. Every int16 product has a scale that is the product of its
inputs' times a power of two, and all scales have short mantissas, so that LiteRT (float32) and TFLM (double) multiply to the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Twin
from pipeline.layers.quantized_norm import HEADROOM, Moments, QuantizedNorm, corrected

INT16_MAX = 32767
OUTPUT_STEPS = 120.7  # int16 steps in one step of the int8 output: not a power of two, so that ties are rare


@dataclass(frozen=True)
class Int16Constants:
    """Scales (of real values) and shifts of one norm; scalars unless said."""

    step: Tensor  # int16 x, mean and deviation
    square_scale: Tensor
    variance16_scale: Tensor
    variance_scale: Tensor  # int8 variance, zero_point -128
    rstd_scale: Tensor  # int8 reciprocal root, zero_point -128
    gamma_scale: Tensor
    gamma_codes: Tensor  # [C]: int16
    gain_scale: Tensor
    normalised_scale: Tensor
    beta_scale: Tensor
    beta_codes: Tensor  # [C]: int16
    output16_scale: Tensor


class Int16ElementwiseNorm(QuantizedNorm):
    """gLN on int16 deviations with 8-bit variance and 8-bit reciprocal root."""

    def constants(self) -> Int16Constants:
        """The integer recipe's constants from the observed statistics."""
        with torch.no_grad():
            x_scale, zero_point = self.input_quantizers[0].grid()
            step = x_scale / 128
            span = 128 * torch.maximum(127 - zero_point, 128 + zero_point)
            square_scale = step * step * _power(torch.log2(span.square() / INT16_MAX))
            largest = self.variance_max / square_scale
            variance16_scale = square_scale / 2 ** (14 - torch.ceil(torch.log2(largest))).clamp(min=0)
            rstd_scale = _power(torch.log2(HEADROOM / self.variance_min.sqrt() / 255))
            gamma_scale = _power(torch.log2(self.gamma.abs().max())) / 2**14
            gain_scale = rstd_scale / 128 * gamma_scale * 2**15
            product = step * gain_scale
            reach = 1.3 * self.normalised_max * self.gamma.abs().max()
            beta_scale = self.beta.abs().max().clamp(min=1e-6) / INT16_MAX
            assert not isinstance(self.output_quantizer, torch.nn.Identity)
            return Int16Constants(
                step=step,
                square_scale=square_scale,
                variance16_scale=variance16_scale,
                variance_scale=self.variance_max * HEADROOM**2 / 255,
                rstd_scale=rstd_scale,
                gamma_scale=gamma_scale,
                gamma_codes=torch.round(self.gamma / gamma_scale),
                gain_scale=gain_scale,
                normalised_scale=product * _power(torch.log2(reach / INT16_MAX / product)).clamp(min=1),
                beta_scale=beta_scale,
                beta_codes=torch.round(self.beta / beta_scale),
                output16_scale=self.output_quantizer.grid()[0] / OUTPUT_STEPS,
            )

    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        with torch.no_grad():
            c = self.constants()
            codes = x / c.step
            mean_code = torch.round(torch.round(codes.mean(1, keepdim=True)).mean(2, keepdim=True))
            deviation = _int16(codes - mean_code)
            square = _int16(torch.round(deviation.square() * (c.step.square() / c.square_scale)))
            variance = torch.round(torch.round(square.mean(1, keepdim=True)).mean(2, keepdim=True) * (c.square_scale / c.variance16_scale))
            variance_code = torch.round(_int16(variance) * c.variance16_scale / c.variance_scale).clamp(1, 255)
            rstd_code = torch.round(torch.rsqrt(variance_code * c.variance_scale) / c.rstd_scale).clamp(max=255)
            gain_code = _int16(torch.round(rstd_code * 128 * c.gamma_codes / 2**15))
            normalised = _int16(torch.round(deviation * gain_code * (c.step * c.gain_scale / c.normalised_scale)))
            exact = (normalised * c.normalised_scale + c.beta_codes * c.beta_scale) / c.output16_scale
            output = _int16(torch.round(exact)) * c.output16_scale
        return corrected((x - mean) * (rstd * self.gamma) + self.beta, output)


def _power(exponent: Tensor) -> Tensor:
    """2 to the next whole number above ``exponent``."""
    return torch.exp2(torch.ceil(exponent))


def _int16(codes: Tensor) -> Tensor:
    return codes.clamp(-INT16_MAX - 1, INT16_MAX)


def emit_int16_elementwise(graph: GraphBuilder, layer: Int16ElementwiseNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`Int16ElementwiseNorm`."""
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


TWIN = Twin(Int16ElementwiseNorm, emit_int16_elementwise)
