"""Integer gLN for CPUs, the fast one ("C25"): statistics as in C23, then ``(x - mean) * rstd`` as one int8 difference and one
int8 product with scalars, which every vector unit has kernels for. gamma and beta are folded into the convolutions that
follow (``fold_affine``), so that nothing of the size of x is computed at run time but these two.

The convolution's zero padding then stands for the mean, and not for minus beta over gamma: frames at the very ends of a
segment differ a little from the float network's, which training makes up for.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pipeline.layers.elementwise import float as float_layers
from pipeline.layers.norms.quantized import HEADROOM, Moments, corrected, follow
from pipeline.layers.norms.runtime_filter import C23Constants, CodeMoments, NormC23
from pipeline.layers.norms.scalar_gain_kernel import quantized_normalisation
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer, agreed_factor


class NormC25(NormC23):
    """gLN without affine on int8; ``mean_low`` and ``mean_high`` are the running extremes of the mean."""

    mean_low: Tensor
    mean_high: Tensor

    def __init__(self, layer: float_layers.GlobalLayerNorm) -> None:
        super().__init__(layer)
        self.gamma.requires_grad_(False)
        self.beta.requires_grad_(False)
        self.centred_quantizer = ActivationQuantizer()
        self.register_buffer("mean_low", torch.zeros(()))
        self.register_buffer("mean_high", torch.zeros(()))

    def rstd_grid(self) -> Tensor:
        """As of C23, a trifle larger: the product with it is the same on every runtime."""
        return self._constants_and_rstd_grid()[1]

    def constants(self) -> C23Constants:
        return self._constants_and_rstd_grid()[0]

    def _constants_and_rstd_grid(self) -> tuple[C23Constants, Tensor]:
        """Both at once: the search for the grid takes part of a training step."""
        with torch.no_grad():
            c = super().constants()
            assert isinstance(self.output_quantizer, ActivationQuantizer)
            rstd_grid = agreed_factor(c.rstd_scale / c.x_scale, self.centred_quantizer.grid()[0], self.output_quantizer.grid()[0])
            return replace(c, rstd_scale=rstd_grid * c.x_scale), rstd_grid

    def mean_grid(self) -> tuple[Tensor, Tensor]:
        """(scale, zero_point) of the int8 mean."""
        low, high = HEADROOM * self.mean_low, HEADROOM * self.mean_high
        scale = ((high - low) / (QMAX - QMIN)).clamp(min=1e-7)
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

    def _observe(self, x: Tensor, moments: Moments) -> None:
        super()._observe(x, moments)
        follow(self.mean_low, moments.mean.min().clamp(max=0), torch.minimum)
        follow(self.mean_high, moments.mean.max().clamp(min=0), torch.maximum)
