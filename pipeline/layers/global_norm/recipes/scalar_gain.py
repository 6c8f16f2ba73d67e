"""Integer gLN of one int8 difference and one int8 product with scalars, which every vector unit has kernels for (XNNPACK).

``(x - mean) * rstd``; gamma and beta are folded into the convolutions that follow (``pipeline/quantization/fold_affine.py``), so that
nothing of the size of x is computed at run time but these two.

The convolution's zero padding then stands for the mean, and not for minus beta over gamma: frames at the very ends of a
segment differ a little from the float network's, which training makes up for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Twin
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.integer_statistics import CodeMoments, IntegerStatisticsNorm, StatisticsConstants, emit_statistics
from pipeline.layers.global_norm.scalar_gain_in_one_pass import quantized_normalisation
from pipeline.layers.quantized_layer import GainProduct
from pipeline.layers.quantized_norm import HEADROOM, Moments, corrected, follow
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer, agreed_factor

LEAST_MEAN_SCALE = 2.0**-10 * 1.001  # in steps of the difference: below 2^-10 SUB is left to LiteRT's own kernel, 1.5 ms instead of 0.02


class ScalarGainNorm(IntegerStatisticsNorm):
    """gLN without affine on int8; ``mean_low`` and ``mean_high`` are the running extremes of the mean."""

    mean_low: Tensor
    mean_high: Tensor

    def __init__(self, layer: GlobalLayerNorm) -> None:
        super().__init__(layer)
        self.gamma.requires_grad_(False)
        self.beta.requires_grad_(False)
        self.centred_quantizer = ActivationQuantizer()
        self.register_buffer("mean_low", torch.zeros(()))
        self.register_buffer("mean_high", torch.zeros(()))

    def rstd_grid(self) -> Tensor:
        """A trifle larger than it need be: the product with it is the same on every runtime."""
        return self._constants_and_rstd_grid()[1]

    def constants(self) -> StatisticsConstants:
        return self._constants_and_rstd_grid()[0]

    def _constants_and_rstd_grid(self) -> tuple[StatisticsConstants, Tensor]:
        """Both at once: the search for the grid takes part of a training step."""
        with torch.no_grad():
            c = super().constants()
            assert isinstance(self.output_quantizer, ActivationQuantizer)
            rstd_grid = agreed_factor(c.rstd_scale / c.x_scale, self.centred_quantizer.grid()[0], self.output_quantizer.grid()[0])
            return replace(c, rstd_scale=rstd_grid * c.x_scale), rstd_grid

    def mean_grid(self) -> tuple[Tensor, Tensor]:
        """(scale, zero_point) of the int8 mean; the scale is not below what XNNPACK's SUB takes beside that of the difference."""
        low, high = HEADROOM * self.mean_low, HEADROOM * self.mean_high
        scale = torch.maximum((high - low) / (QMAX - QMIN), LEAST_MEAN_SCALE * self.centred_quantizer.grid()[0].detach()).clamp(min=1e-7)
        return scale, torch.round(QMIN - low / scale).clamp(QMIN, QMAX)

    def float_norm(self, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        centred: Tensor = self.centred_quantizer(x - mean)
        return centred * rstd

    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        centre, gain = self.scalars(moments)
        centred: Tensor = self.centred_quantizer(x - corrected(mean, centre))
        return centred * corrected(rstd, gain)

    def quantized_norm(self, x: Tensor, moments: Moments) -> Tensor:
        if not self.training:  # hooks see what each quantizer gives
            return super().quantized_norm(x, moments)
        inner, outer = self.centred_quantizer, self.output_quantizer
        assert isinstance(outer, ActivationQuantizer)
        return quantized_normalisation(x, moments, *self.scalars(moments), (inner.grid(), outer.grid()), (inner.ends(), outer.ends()))

    def scalars(self, moments: Moments) -> tuple[Tensor, Tensor]:
        """The mean and the reciprocal deviation [B, 1, 1] that the integer ops give."""
        assert isinstance(moments, CodeMoments)
        with torch.no_grad():
            c, rstd_grid = self._constants_and_rstd_grid()
            mean_code, rstd_code = self.statistics(moments, c)
            scale, zero_point = self.mean_grid()
            centre = torch.round(mean_code * (c.x_scale / 128) / scale) + zero_point
            return (centre.clamp(QMIN, QMAX) - zero_point) * scale, rstd_code * rstd_grid

    def gain_products(self) -> list[GainProduct]:
        inner, outer = self.centred_quantizer, self.output_quantizer
        assert isinstance(outer, ActivationQuantizer)
        return [GainProduct(inner, outer, lambda: float(inner.grid()[0].double() * self.rstd_grid().double() / outer.grid()[0].double()))]

    def _observe(self, x: Tensor, moments: Moments) -> None:
        super()._observe(x, moments)
        follow(self.mean_low, moments.mean.min().clamp(max=0), torch.minimum)
        follow(self.mean_high, moments.mean.max().clamp(min=0), torch.maximum)


def emit_scalar_gain(graph: GraphBuilder, layer: ScalarGainNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`ScalarGainNorm`; the scalars are of rank 1."""
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


TWIN = Twin(ScalarGainNorm, emit_scalar_gain, without_affine=True)
