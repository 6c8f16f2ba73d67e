"""Integer gLN as one int8 difference and one int8 product with scalars: what the recipes share that differ in how they compute those two.

``(x - mean) * rstd``; gamma and beta are folded into the convolutions that follow (``pipeline/quantization/fold_affine.py``), so that
nothing of the size of x is computed for them at run time.

The convolution's zero padding then stands for the mean, and not for minus beta over gamma: frames at the very ends of a
segment differ a little from the float network's, which training makes up for.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.scalar_gain_in_one_pass import quantized_normalisation
from pipeline.layers.quantized_layer import GainProduct
from pipeline.layers.quantized_norm import HEADROOM, Moments, QuantizedNorm, corrected, follow
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer

LEAST_MEAN_SCALE = 2.0**-10 * 1.001  # in steps of the difference: below 2^-10 SUB is left to LiteRT's own kernel, 1.5 ms instead of 0.02


class TwoScalarsNorm(QuantizedNorm):
    """gLN without affine on int8; ``mean_low`` and ``mean_high`` are the running extremes of the mean."""

    mean_low: Tensor
    mean_high: Tensor
    largest_gain: int  # code of the reciprocal deviation

    def __init__(self, layer: GlobalLayerNorm) -> None:
        super().__init__(layer)
        self.gamma.requires_grad_(False)
        self.beta.requires_grad_(False)
        self.centred_quantizer = ActivationQuantizer()
        self.register_buffer("mean_low", torch.zeros(()))
        self.register_buffer("mean_high", torch.zeros(()))

    @abstractmethod
    def rstd_grid(self) -> Tensor:
        """The scale of the int8 reciprocal deviation as the files hold it, with which the product is the same on every runtime."""

    @abstractmethod
    def scalars(self, x: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        """The mean and the reciprocal deviation [B, 1, 1] of x [B, T, C] that the integer ops give; ``moments`` are those of x."""

    def mean_grid(self) -> tuple[Tensor, Tensor]:
        """(scale, zero_point) of the int8 mean; the scale is not below what XNNPACK's SUB takes beside that of the difference."""
        low, high = HEADROOM * self.mean_low, HEADROOM * self.mean_high
        scale = torch.maximum((high - low) / (QMAX - QMIN), LEAST_MEAN_SCALE * self.centred_quantizer.grid()[0].detach()).clamp(min=1e-7)
        return scale, torch.round(QMIN - low / scale).clamp(QMIN, QMAX)

    def float_norm(self, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        centred: Tensor = self.centred_quantizer(x - mean)
        return centred * rstd

    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        centre, gain = self.scalars(x, moments)
        centred: Tensor = self.centred_quantizer(x - corrected(mean, centre))
        return centred * corrected(rstd, gain)

    def quantized_norm(self, x: Tensor, moments: Moments) -> Tensor:
        if not self.training:  # hooks see what each quantizer gives
            return super().quantized_norm(x, moments)
        inner, outer = self.centred_quantizer, self.output_quantizer
        assert isinstance(outer, ActivationQuantizer)
        return quantized_normalisation(x, moments, *self.scalars(x, moments), (inner.grid(), outer.grid()), (inner.ends(), outer.ends()))

    def gain_products(self) -> list[GainProduct]:
        inner, outer = self.centred_quantizer, self.output_quantizer
        assert isinstance(outer, ActivationQuantizer)

        def multiplier() -> float:
            return float(inner.grid()[0].double() * self.rstd_grid().double() / outer.grid()[0].double())

        return [GainProduct(inner, outer, multiplier, self.largest_gain)]

    def _observe(self, x: Tensor, moments: Moments) -> None:
        super()._observe(x, moments)
        follow(self.mean_low, moments.mean.min().clamp(max=0), torch.minimum)
        follow(self.mean_high, moments.mean.max().clamp(min=0), torch.maximum)


def emit_difference(graph: GraphBuilder, layer: TwoScalarsNorm, x: Value, mean: str, name: str) -> Value:
    """x less its mean, a float edge, on the grid of the difference."""
    scale, zero_point = (value.item() for value in layer.mean_grid())
    graph.quantize(mean, f"{name}/centre", np.float32(scale), int(zero_point))
    centre = graph.dequantize(f"{name}/centre", np.float32(scale), int(zero_point))
    difference = graph.node("Sub", [graph.read(x), centre], f"{name}/diff_float")
    return graph.write(difference, f"{name}/diff", x.channels, x.frames, layer.centred_quantizer)


def emit_product(graph: GraphBuilder, layer: TwoScalarsNorm, centred: Value, rstd: str, zero_point: int, name: str) -> Value:
    """The difference times the reciprocal deviation, codes with ``zero_point``."""
    gain = graph.dequantize(rstd, np.float32(layer.rstd_grid().item()), zero_point)
    product = graph.node("Mul", [graph.read(centred), gain], f"{name}/normalised")
    return graph.write(product, name, centred.channels, centred.frames, layer.output_quantizer)
