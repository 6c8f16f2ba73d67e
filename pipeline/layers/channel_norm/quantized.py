"""Integer cLN, the layer norm over the channels of each frame, for every target: int8 tensors and tables, no other arithmetic.

The deviations of one tensor's frames lie 40 dB and more apart, where an int8 gain has 255 steps. So the gain is applied in two
parts. A whole number of each frame (1 to 127) first brings it to nearly full int8 range; the product is exact, because its
scale is that of its input. The mean and the variance of the amplified frame then lie in narrow ranges, for which one byte each
is enough, and give the second gain. Both gains are read from tables of energies, so that a silent frame divides by nothing: its
deviations are 0, and so is its output.

gamma and beta are folded into the convolutions behind the norm (``fold_affine``). All integers below are those that the ONNX
nodes and the TFLite ops hold (``pipeline/layers/norms/channel_norm_to_onnx.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.quantized_norm import Moments, QuantizedNorm, corrected, follow
from pipeline.quantization.grid import QMAX, QMIN, WEIGHT_QMAX, ActivationQuantizer, agreed_factor

STEPS = QMAX - QMIN
RATIO = 16  # of the coarse to the fine energy step: where the fine code saturates, the coarse one still has STEPS / RATIO steps
# deviation where the first pair's coarse and the second pair's fine code saturate, in parts of the largest
AMPLIFIED_TOP, FINE_TOP = 0.5, 1.1
TIE_BREAK = 32  # of WEIGHT_QMAX: a quarter of a code of the sum, so that no mean of whole numbers is a tie


def energies() -> Tensor:
    """The energy in coarse steps [2 * STEPS + 1] that a sum of the coarse and the fine code stands for."""
    codes = torch.arange(2 * STEPS + 1)
    return torch.maximum(codes / (RATIO + 1), codes - float(STEPS))  # above STEPS the fine code is a constant


def amplification_table() -> Tensor:
    """The first gain, a whole number, by the sum of codes: rounded down so that an amplified frame keeps to the output's range."""
    deviation = AMPLIFIED_TOP * torch.sqrt((energies() + 0.5 / (RATIO + 1)) / STEPS)
    return torch.floor(1 / deviation).clamp(1, QMAX)


def gain_table() -> Tensor:
    """The second gain, 0 to STEPS (at half of the largest deviation and below), by the sum of codes."""
    deviation = FINE_TOP * torch.sqrt(RATIO * energies() / STEPS)
    return torch.round(STEPS * 0.5 / deviation).clamp(max=STEPS)


@dataclass(frozen=True)
class ChannelNormConstants:
    """Constants of one norm; scalars.

    ``zero_point``: of the deviation, plain and amplified, which have the input's scale. The energy scales are those of sums of squares of
    a frame (zero_point -128). ``gain_scale``: of the second gain (zero_point -128).
    """

    x_scale: Tensor
    x_zero_point: Tensor
    zero_point: Tensor
    energy_scales: tuple[Tensor, Tensor]  # coarse, fine
    amplified_scales: tuple[Tensor, Tensor]
    gain_scale: Tensor


class QuantizedChannelNorm(QuantizedNorm):
    """cLN without affine on int8; ``deviation_low`` and ``deviation_high`` are the running extremes of x less its mean."""

    axes = (2,)
    observed = ("deviation_low", "deviation_high")
    deviation_low: Tensor
    deviation_high: Tensor
    amplifications: Tensor
    gains: Tensor

    def __init__(self, layer: ChannelLayerNorm) -> None:
        super().__init__(layer)
        self.gamma.requires_grad_(False)
        self.beta.requires_grad_(False)
        self.register_buffer("amplifications", amplification_table(), persistent=False)
        self.register_buffer("gains", gain_table(), persistent=False)

    def constants(self, values: int | None = None) -> ChannelNormConstants:
        """The integer recipe's constants from the observed statistics and the output's range.

        Args:
            values: how many the norm is over; the channels by default.
        """
        with torch.no_grad():
            assert isinstance(self.output_quantizer, ActivationQuantizer)
            x_scale, x_zero_point = self.input_quantizers[0].grid()
            # Codes below and above the mean: for the deviations as they are, and for those of an amplified frame, which take the range
            # that the output takes. Both in proportion where they do not fit.
            out_scale, out_zero_point = self.output_quantizer.grid()
            out_below, out_above = (out_zero_point - QMIN).clamp(min=1), (QMAX - out_zero_point).clamp(min=1)
            below = torch.maximum(-self.deviation_low / x_scale, out_below)
            above = torch.maximum(self.deviation_high / x_scale, out_above)
            zero_point = torch.round(QMIN + STEPS * below / (below + above)).clamp(QMIN + 1, QMAX - 1)
            # in units of x, of an amplified frame
            largest_deviation = x_scale / out_scale * torch.minimum((zero_point - QMIN) / out_below, (QMAX - zero_point) / out_above)
            step = largest_deviation.square() * (values or len(self.gamma)) / STEPS
            coarse, fine = AMPLIFIED_TOP**2 * step, FINE_TOP**2 * step
            return ChannelNormConstants(
                x_scale=x_scale,
                x_zero_point=x_zero_point,
                zero_point=zero_point,
                energy_scales=(coarse, coarse / RATIO),
                amplified_scales=(fine * RATIO, fine),
                gain_scale=agreed_factor(1 / (0.5 * largest_deviation * STEPS), x_scale, out_scale),
            )

    def amplify(self, x: Tensor, c: ChannelNormConstants) -> tuple[Tensor, Tensor, Tensor]:
        """The first gain [B, T, 1], the codes of the amplified and centred frames [B, T, C] less zero_point, the second gain [B, T, 1]."""
        deviation = self.centred(torch.round(x / c.x_scale), c.x_zero_point, c.zero_point)
        amplification = self.amplifications[energy_codes(deviation, c.x_scale, c.energy_scales)]
        amplified = self.centred(_clip(deviation * amplification, c.zero_point), c.zero_point, c.zero_point)
        return amplification, amplified, self.gains[energy_codes(amplified, c.x_scale, c.amplified_scales)]

    def centred(self, codes: Tensor, zero_point: Tensor, new_zero_point: Tensor) -> Tensor:
        """Codes [B, T, C] (less their zero_point) less the whole number next to each frame's mean, on an int8 grid of the same scale."""
        return subtract_mean(codes, codes, zero_point, new_zero_point)

    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        with torch.no_grad():
            c = self.constants(x.shape[2])
            _, amplified, gain = self.amplify(x, c)
            exact = amplified * gain * (c.x_scale * c.gain_scale)
            largest = QMAX * STEPS * c.gain_scale  # a silent frame has no gradient beyond what its gain can be
        return corrected((x - mean) * rstd.clamp(max=largest), exact)

    def _observe(self, x: Tensor, moments: Moments) -> None:
        low, high = x.amin(2, keepdim=True) - moments.mean, x.amax(2, keepdim=True) - moments.mean
        follow(self.deviation_low, low.min(), torch.minimum)
        follow(self.deviation_high, high.max(), torch.maximum)


def subtract_mean(codes: Tensor, averaged: Tensor, zero_point: Tensor, new_zero_point: Tensor) -> Tensor:
    """Codes [B, T, V] (less their zero_point) less the whole number next to the mean of ``averaged`` [B, T, C], on a grid of that scale."""
    channels = averaged.shape[2]
    total = TIE_BREAK - WEIGHT_QMAX * averaged.sum(2, keepdim=True)
    return _clip(codes + _clip(torch.round(total / (WEIGHT_QMAX * channels)), -1 - zero_point), new_zero_point)


def _clip(codes: Tensor, zero_point: Tensor) -> Tensor:
    return codes.clamp(QMIN - zero_point, QMAX - zero_point)


def energy_coarseness(values: int) -> float:
    """How much coarser a grid must be for a sum of squares of so many codes to fit int32; 1 where it does, else a number without ties."""
    fitting = math.isqrt((2**31 - 1) // values)
    return 1.0 if fitting >= STEPS else STEPS / (fitting - 0.3)


def energy_codes(codes: Tensor, scale: Tensor, scales: tuple[Tensor, Tensor]) -> Tensor:
    """Sum of the coarse and the fine code of the energy of each frame [B, T, 1] of codes [B, T, C] less their zero_point."""
    coarseness = energy_coarseness(codes.shape[2])
    x = codes * scale if coarseness == 1 else torch.round(codes / coarseness) * (scale * coarseness)
    energy = x.square().sum(2, keepdim=True)
    coarse, fine = (torch.round(energy / step).clamp(0, STEPS) for step in scales)
    return (coarse + fine).long()
