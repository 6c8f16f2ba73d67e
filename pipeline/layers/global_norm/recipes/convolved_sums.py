"""Integer gLN on int8 alone, for NPUs (Ethos-U): every sum is a convolution with weights of one.

Such machines have no fast int32 and no fast MEAN, but take a sum over channels, and one over frames, in a convolution's accumulator. The
deviation is that of the rounded difference, so that no two large sums are subtracted.

Its squares have heavy tails: on one int8 grid that holds the largest, most of the others are rounded to 0, and the sum is wrong by up to
a half. So there are two squares, one on a fine grid that saturates, and one on a grid so coarse that what the fine one holds rounds to 0
there (docs/adr/0042-npu-and-memory-plan.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Twin
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.two_scalars import TwoScalarsNorm, emit_difference, emit_product
from pipeline.layers.quantized_norm import HEADROOM, LEAST_VARIANCE, Moments, follow
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer, agreed_factor

CODES = QMAX - QMIN
FINE_STEPS = 8  # of the fine squares that make the usual mean square
LARGEST_FINE = 51  # divisor of the fine squares, with which XNNPACK still takes the scale of the coarse ones
COARSE = 5 * CODES  # fine steps that make a coarse one: with 5 times what saturates, what is counted twice makes up for what is left out


@dataclass(frozen=True)
class SumConstants:
    """Grids of one norm; scalars, in real units. Squares, energies, variance and reciprocal deviation have the zero point -128.

    ``divisors``: of the squares of codes, of the fine ones and of the coarse ones where there are any. They are odd, so that no square is
    a tie.
    """

    frame_mean: tuple[Tensor, Tensor]  # (scale, zero_point)
    mean: tuple[Tensor, Tensor]
    divisors: tuple[int, ...]
    energy_scale: Tensor
    variance_scale: Tensor
    rstd_scale: Tensor


class ConvolvedSumsNorm(TwoScalarsNorm):
    """gLN without affine on int8, with statistics in int8.

    ``frame_mean_low`` and ``frame_mean_high`` are the running extremes of a frame's mean, ``deviation_max`` that of a frame's mean squared
    deviation from the mean of all.
    """

    largest_gain = CODES
    frame_mean_low: Tensor
    frame_mean_high: Tensor
    deviation_max: Tensor

    def __init__(self, layer: GlobalLayerNorm) -> None:
        super().__init__(layer)
        for name in ("frame_mean_low", "frame_mean_high", "deviation_max"):
            self.register_buffer(name, torch.zeros(()))

    def rstd_grid(self) -> Tensor:
        return self.constants().rstd_scale

    def constants(self) -> SumConstants:
        """The integer recipe's constants from the observed statistics."""
        with torch.no_grad():
            assert isinstance(self.output_quantizer, ActivationQuantizer)
            scale, zero_point = self.centred_quantizer.grid()
            usual = (self.variance_max * self.variance_min).sqrt() / scale.square()
            largest = torch.maximum(QMAX - zero_point, zero_point - QMIN).square()
            rstd_scale = HEADROOM / (CODES * self.variance_min.sqrt())
            frame_scale = (HEADROOM * (self.frame_mean_high - self.frame_mean_low) / CODES).clamp(min=1e-7)
            return SumConstants(
                frame_mean=(frame_scale, torch.round(QMIN - HEADROOM * self.frame_mean_low / frame_scale).clamp(QMIN, QMAX)),
                mean=self.mean_grid(),
                divisors=square_divisors(float(usual), int(largest)),
                energy_scale=HEADROOM * self.deviation_max.clamp(min=LEAST_VARIANCE) / CODES,
                variance_scale=HEADROOM**2 * self.variance_max / CODES,
                rstd_scale=agreed_factor(rstd_scale, scale, self.output_quantizer.grid()[0]),
            )

    def scalars(self, x: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            c = self.constants()
            frames = _quantized(torch.round(x / self.input_scale()).mean(2, keepdim=True) * self.input_scale(), *c.frame_mean)
            mean = _quantized(frames.mean(1, keepdim=True) * c.frame_mean[0], *c.mean) * c.mean[0]
            scale = self.centred_quantizer.grid()[0]
            codes = _quantized(x - mean, *self.centred_quantizer.grid()).square()
            energies = torch.zeros_like(frames)
            for divisor in c.divisors:
                squares = torch.round(codes / divisor).clamp(max=CODES).mean(2, keepdim=True)
                energies += torch.round(squares * (divisor * scale.square() / c.energy_scale)).clamp(max=CODES)
            energies = energies.clamp(max=CODES)
            variance = torch.round(energies.mean(1, keepdim=True) * (c.energy_scale / c.variance_scale)).clamp(max=CODES)
            # the reciprocal root of 0 is the largest code, as the kernels have it
            return mean, torch.round(torch.rsqrt(variance * c.variance_scale) / c.rstd_scale).clamp(max=CODES) * c.rstd_scale

    def _observe(self, x: Tensor, moments: Moments) -> None:
        super()._observe(x, moments)
        frames = x.mean(2, keepdim=True)
        follow(self.frame_mean_low, frames.min().clamp(max=0), torch.minimum)
        follow(self.frame_mean_high, frames.max().clamp(min=0), torch.maximum)
        deviations = moments.energy - 2 * moments.mean * frames + moments.mean.square()
        follow(self.deviation_max, deviations.max(), torch.maximum)


def square_divisors(usual: float, largest: int) -> tuple[int, ...]:
    """Odd divisors with which the squares of codes fit int8: a fine and a coarse one, or one where none is much larger than the others.

    Args:
        usual: mean square. ``largest``: that a square can be.
    """
    fine = min(_odd(usual / FINE_STEPS), LARGEST_FINE)
    return (fine, COARSE * fine) if 2 * largest > COARSE * fine else (_odd(largest / CODES),)


def _odd(value: float) -> int:
    """The least odd number that is not below ``value``."""
    return 2 * int(np.ceil((value - 1) / 2)) + 1 if value > 1 else 1


def _quantized(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Codes less the zero point."""
    return (torch.round(x / scale) + zero_point).clamp(QMIN, QMAX) - zero_point


def emit_convolved_sums(graph: GraphBuilder, layer: ConvolvedSumsNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`ConvolvedSumsNorm`."""
    (x,) = inputs
    c = layer.constants()

    def on(scale: Tensor, zero_point: float | Tensor = QMIN) -> tuple[np.float32, int]:
        return np.float32(scale.item()), int(zero_point)

    frames = graph.write_on(_mean_of_channels(graph, x, f"{name}/frame_mean_float"), f"{name}/frame_mean", 1, x.frames, *on(*c.frame_mean))
    centred = emit_difference(graph, layer, x, _mean_of_frames(graph, frames, f"{name}/mean"), name)
    energy = on(c.energy_scale)
    energies: list[Value] = []
    for divisor, size in zip(c.divisors, ("", "coarse_"), strict=False):
        product = graph.node("Mul", [graph.read(centred), graph.read(centred)], f"{name}/{size}squares_float")
        scale = np.float32(divisor * centred.grid() * centred.grid())
        squares = graph.write_on(product, f"{name}/{size}squares", x.channels, x.frames, scale, QMIN)
        mean = _mean_of_channels(graph, squares, f"{name}/{size}mean_square")
        energies.append(graph.write_on(mean, f"{name}/{size}energy", 1, x.frames, *energy))
    if len(energies) > 1:
        total = graph.node("Add", [graph.read(part) for part in energies], f"{name}/energy_sum")
        energies = [graph.write_on(total, f"{name}/whole_energy", 1, x.frames, *energy)]
    variance = on(c.variance_scale)
    graph.quantize(_mean_of_frames(graph, energies[0], f"{name}/mean_energy"), f"{name}/variance", *variance)
    root = graph.node("Sqrt", [graph.dequantize(f"{name}/variance", *variance)], f"{name}/deviation")
    rstd = graph.quantize(graph.node("Reciprocal", [root], f"{name}/reciprocal"), f"{name}/rstd", *on(c.rstd_scale))
    return emit_product(graph, layer, centred, rstd, QMIN, name)


def _mean_of_channels(graph: GraphBuilder, x: Value, name: str) -> str:
    """A float edge [1, 1, T]."""
    ones = graph.weight(f"norm/ones_{x.channels}", np.ones((1, x.channels, 1)), np.array([1 / x.channels], np.float32), 0)
    return graph.node("Conv", [graph.read(x), ones], name)


def _mean_of_frames(graph: GraphBuilder, x: Value, name: str) -> str:
    """A float edge [1, 1, 1] of the one channel of x: a convolution over a frame of T samples."""
    ones = graph.weight(f"norm/ones_in_a_row_{x.frames}", np.ones((1, 1, x.frames)), np.array([1 / x.frames], np.float32), 0)
    return graph.node("Conv", [graph.read(x), ones], name, strides=[x.frames])


TWIN = Twin(ConvolvedSumsNorm, emit_convolved_sums, without_affine=True)
