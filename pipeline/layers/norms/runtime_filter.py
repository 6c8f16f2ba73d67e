"""Integer gLN for CPUs ("C23"): frame energies by a batched matrix product, int32 scalars, an 8-bit table for the
reciprocal root, and one depthwise convolution whose filter and bias are computed at run time.

All integers below are those that the ONNX nodes and the TFLite ops hold (``pipeline/export/norm_c23.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.layers.norms.quantized import HEADROOM, LEAST_VARIANCE, Moments, QuantizedNorm, corrected


@dataclass(frozen=True)
class C23Constants:
    """Constants of one norm. Scales are of real values; ``x_scale`` is the input's.

    ``energy_divisor`` D: a frame's energy code is mean(q^2) * 128 / D. ``variance_scale`` and ``rstd_scale``: of the int8
    variance and of its reciprocal root, per code of x. ``variance_floor``: the least int32 variance.
    """

    x_scale: Tensor
    energy_divisor: Tensor
    variance_scale: Tensor
    rstd_scale: Tensor
    variance_floor: Tensor
    gain_scale: Tensor  # [C]: scale of the run-time filter
    beta_codes: Tensor  # [C]: int32


@dataclass(frozen=True)
class CodeMoments(Moments):
    """Means of the codes of x less the zero point, which are whole numbers: their sums are exact, and so are ties.

    ``channel_codes`` [B, 1, C]: mean code of each channel. ``energy_codes`` [B, T, 1]: mean square of each frame.
    """

    channel_codes: Tensor
    energy_codes: Tensor


class NormC23(QuantizedNorm):
    """gLN on int8 with 8-bit variance and 8-bit reciprocal root."""

    def constants(self) -> C23Constants:
        """The integer recipe's constants from the observed statistics."""
        with torch.no_grad():
            x_scale = self.input_scale()
            square = x_scale.square()
            divisor = torch.ceil(1.1 * 128 * self.energy_max / square / 255).clamp(min=1)
            variance_scale = self.variance_max / square * HEADROOM**2 / 255
            rstd_scale = HEADROOM / (self.variance_min / square).sqrt() / 127
            gain_scale = self.gamma_magnitude() * rstd_scale / x_scale
            return C23Constants(
                x_scale=x_scale,
                energy_divisor=divisor,
                variance_scale=variance_scale,
                rstd_scale=rstd_scale,
                variance_floor=torch.ceil(variance_scale * 16384 / divisor),
                gain_scale=gain_scale,
                beta_codes=torch.round(self.beta / (x_scale * gain_scale)),
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

    def statistics(self, moments: CodeMoments, c: C23Constants) -> tuple[Tensor, Tensor]:
        """(M, A): 128 * mean in codes of x, and the int8 code of the reciprocal deviation; [B, 1, 1]."""
        mean = torch.round(128 * torch.round(moments.channel_codes).mean(2, keepdim=True))
        energy = torch.round(moments.energy_codes * 128 / c.energy_divisor).clamp(0, 255)
        energy = torch.round(128 * energy.mean(1, keepdim=True))
        variance = (energy - torch.trunc(mean.square() / c.energy_divisor)).maximum(c.variance_floor)
        code = torch.round(variance * c.energy_divisor / 16384 / c.variance_scale).clamp(1, 255)
        return mean, torch.round(torch.rsqrt(code * c.variance_scale) / c.rstd_scale).clamp(max=127)

    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        assert isinstance(moments, CodeMoments)
        with torch.no_grad():
            c = self.constants()
            mean_code, rstd_code = self.statistics(moments, c)
            sign = self.gamma_sign()
            offset = (c.beta_codes - torch.trunc(mean_code * rstd_code / 128) * sign) * c.x_scale * c.gain_scale
            gain_code = rstd_code * c.rstd_scale / c.x_scale
        gain = corrected(rstd, gain_code) * (self.gamma_magnitude() * sign)
        bias = corrected(self.beta - mean * gain, offset)
        return x * gain + bias
