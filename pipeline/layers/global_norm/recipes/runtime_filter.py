"""Integer gLN of one depthwise convolution whose filter and bias are computed at run time, for machines that have fast ones (CMSIS-NN).

The gain and the offset of a channel are scalars, which become the int8 filter of one tap and the int32 bias.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from export_specs.layout import Layout
from pipeline.export.qdq_graph import INT8, GraphBuilder, Value
from pipeline.layers.declaration import Twin
from pipeline.layers.global_norm.integer_statistics import CodeMoments, IntegerStatisticsNorm, StatisticsConstants, emit_statistics, widen
from pipeline.layers.quantized_norm import Moments, corrected


class RuntimeFilterNorm(IntegerStatisticsNorm):
    """gLN on int8 as x * gain + offset."""

    def gain_scale(self, c: StatisticsConstants) -> Tensor:
        """[C]: scale of the run-time filter."""
        return self.gamma_magnitude().detach() * c.rstd_scale / c.x_scale

    def beta_codes(self, c: StatisticsConstants) -> Tensor:
        """[C]: beta in int32 steps of the bias."""
        return torch.round(self.beta.detach() / (c.x_scale * self.gain_scale(c)))

    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        assert isinstance(moments, CodeMoments)
        with torch.no_grad():
            c = self.constants()
            mean_code, rstd_code = self.statistics(moments, c)
            sign = self.gamma_sign()
            offset = (self.beta_codes(c) - torch.trunc(mean_code * rstd_code / 128) * sign) * c.x_scale * self.gain_scale(c)
            gain_code = rstd_code * c.rstd_scale / c.x_scale
        gain = corrected(rstd, gain_code) * (self.gamma_magnitude() * sign)
        bias = corrected(self.beta - mean * gain, offset)
        return x * gain + bias


def emit_runtime_filter(graph: GraphBuilder, layer: RuntimeFilterNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`RuntimeFilterNorm`. Scalars are of rank 1, so that the bias is [C] without a Reshape."""
    (x,) = inputs
    c = layer.constants()
    sign = layer.gamma_sign().numpy()
    mean_code, rstd_code = emit_statistics(graph, layer, x, name)
    mean, rstd = f"{mean_code}32", widen(graph, rstd_code)  # the statistics have widened the mean
    signed = graph.node("Mul", [rstd, graph.const(f"{name}/sign_filter", sign.reshape(-1, 1, 1), np.int32)], f"{name}/gain_wide")
    graph.layouts[signed] = Layout.FILTER
    gain = graph.node("Cast", [signed], f"{name}/gain", to=INT8)
    gain_scale = layer.gain_scale(c).numpy().astype(np.float32)
    shift = graph.node("Mul", [mean, rstd], f"{name}/shift_wide")
    shift = graph.node("Div", [shift, graph.const("norm/128", [128], np.int32)], f"{name}/shift")
    signed_shift = graph.node("Mul", [shift, graph.const(f"{name}/sign", sign, np.int32)], f"{name}/shift_signed")
    beta = graph.const(f"{name}/beta", layer.beta_codes(c).numpy(), np.int32)
    bias = graph.node("Sub", [beta, signed_shift], f"{name}/bias")
    operands = [
        graph.read(x),
        graph.dequantize(gain, gain_scale, axis=0),
        graph.dequantize(bias, (x.grid() * gain_scale).astype(np.float32), dtype=np.int32, axis=0),
    ]
    edge = graph.node("Conv", operands, f"{name}/affine", group=x.channels)
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


TWIN = Twin(RuntimeFilterNorm, emit_runtime_filter)
