"""Integer norms: what all recipes share. The statistics are observed, never learned.

A recipe replaces the mean and the reciprocal standard deviation by the values its integer ops give; gradients are those
of the float norm (straight-through).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.grid import straight_through

HEADROOM = 1.2
FORGET = 0.02
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Moments:
    """What a norm takes from its input x [B, T, C], without gradient.

    ``mean`` and ``variance``: over the norm's axes, [B, 1, 1] or [B, T, 1]. ``energy``: mean square of each frame, [B, T, 1].
    """

    mean: Tensor
    variance: Tensor
    energy: Tensor

    def gradient(self, values: int, of_mean: Tensor, of_rstd: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b) of the gradient a - b x of x, for those of the mean and of the reciprocal standard deviation over so many values n.

        d mean / dx = 1 / n, and d rstd / dx = -rstd^3 (x - mean) / n, or 0 where the variance is held at its least value.
        """
        cube = torch.where(self.variance > LEAST_VARIANCE, self.variance, torch.inf) ** -1.5
        slope = of_rstd * cube / values
        return of_mean / values + slope * self.mean, slope


class _FloatStatistics(torch.autograd.Function):
    """The mean and the reciprocal standard deviation of x, from moments that are known already; both gradients together are one pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x)
        ctx.moments = moments
        return moments.mean.clone(), torch.rsqrt(moments.variance)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        offset, slope = ctx.moments.gradient(x.numel() // ctx.moments.mean.numel(), *gradients)
        return torch.addcmul(offset, x, slope, value=-1), None


class HasAffine(Protocol):
    """A float norm."""

    gamma: nn.Parameter
    beta: nn.Parameter


class QuantizedNorm(QuantizedLayer, ABC):
    """Base of the recipes: x [B, T, C] on its grid to y [B, T, C]; chunks [B, S, K, C] are taken as one sequence of S K frames.

    ``variance_max`` and ``variance_min`` (in units of x squared) and ``energy_max`` (largest mean square of a frame) are
    running extremes over batches. ``axes``: over which the mean and the variance are taken.
    """

    axes: tuple[int, ...] = (1, 2)
    observed: tuple[str, ...] = ("variance_max", "variance_min", "energy_max", "normalised_max")
    variance_max: Tensor
    variance_min: Tensor
    energy_max: Tensor
    normalised_max: Tensor

    def __init__(self, layer: HasAffine) -> None:
        super().__init__()
        self.gamma, self.beta = layer.gamma, layer.beta
        self.frozen = False
        for name in self.observed:
            self.register_buffer(name, torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        shape, x = x.shape, x.flatten(1, -2)
        observing = bool(getattr(self.output_quantizer, "observing", False))
        with torch.no_grad():
            moments = self.float_moments(x) if observing else self.moments(x)
            if self.training and not self.frozen:
                self._observe(x, moments)
        if not observing:
            return self.quantized_norm(x, moments).view(shape)
        mean, rstd = _FloatStatistics.apply(x, moments)
        observed: Tensor = self.output_quantizer(self.float_norm(x, mean, rstd).view(shape))
        return observed

    def quantized_norm(self, x: Tensor, moments: Moments) -> Tensor:
        """The normalised tensor on its output grid."""
        mean, rstd = _FloatStatistics.apply(x, moments)
        result: Tensor = self.output_quantizer(self.integer_norm(x, mean, rstd, moments))
        return result

    def moments(self, x: Tensor) -> Moments:
        """The moments of an input on its grid; a recipe may take them from the codes, which it needs anyway."""
        return self.float_moments(x)

    def float_moments(self, x: Tensor) -> Moments:
        """The moments of any input."""
        square, mean = x.square(), x.mean(self.axes, keepdim=True)
        energy = square.mean(2, keepdim=True)
        variance = (energy if self.axes == (2,) else square.mean(self.axes, keepdim=True)) - mean.square()
        return Moments(mean, variance.clamp(min=LEAST_VARIANCE), energy)

    def float_norm(self, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        """The same in float, while ranges are being observed."""
        return (x - mean) * (rstd * self.gamma) + self.beta

    @abstractmethod
    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor, moments: Moments) -> Tensor:
        """The normalised tensor before its output quantizer, computed as the integer ops do.

        Args:
            mean: the float mean, and ``rstd`` the float reciprocal deviation, for their gradients.
            moments: what :meth:`moments` gave for x.
        """

    def input_scale(self) -> Tensor:
        """Scale of the input's grid."""
        return self.input_quantizers[0].grid()[0]

    def gamma_magnitude(self) -> Tensor:
        """|gamma| of each channel, kept away from zero because it is a scale."""
        return self.gamma.abs().clamp(min=1e-4)

    def gamma_sign(self) -> Tensor:
        """+1 or -1 for each channel."""
        return torch.where(self.gamma.detach() < 0, -1.0, 1.0)

    def _observe(self, x: Tensor, moments: Moments) -> None:
        """Move the running extremes; called without gradient."""
        low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
        deviation = torch.maximum(high - moments.mean, moments.mean - low) * torch.rsqrt(moments.variance)
        follow(self.variance_max, moments.variance.max(), torch.maximum)
        follow(self.energy_max, moments.energy.max(), torch.maximum)
        follow(self.normalised_max, deviation.max(), torch.maximum)
        if self.variance_min == 0:
            self.variance_min.copy_(moments.variance.min())
        follow(self.variance_min, moments.variance.min(), torch.minimum)


def follow(extreme: Tensor, value: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Move a running extreme in place: to a new one at once, back from an old one slowly. ``choose``: torch.maximum or torch.minimum."""
    extreme.copy_(choose(value, extreme + FORGET * (value - extreme)))


def corrected(float_value: Tensor, integer_value: Tensor) -> Tensor:
    """The integer value with the float value's gradient."""
    return straight_through(integer_value, float_value)
