"""Integer norms: what all recipes share. The statistics are observed, never learned.

A recipe replaces the mean and the reciprocal standard deviation by the values its integer ops give; gradients are those
of the float norm (straight-through).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.models import layers as float_layers
from pipeline.quantization.grid import straight_through
from pipeline.quantization.layers import QuantizedLayer

HEADROOM = 1.2
FORGET = 0.02


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

    def __init__(self, layer: float_layers.GlobalLayerNorm) -> None:
        super().__init__()
        self.gamma, self.beta = layer.gamma, layer.beta
        self.frozen = False
        for name in self.observed:
            self.register_buffer(name, torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        shape, x = x.shape, x.flatten(1, -2)
        mean = x.mean(self.axes, keepdim=True)
        variance = (x.square().mean(self.axes, keepdim=True) - mean.square()).clamp(min=1e-12)
        rstd = torch.rsqrt(variance)
        observing = bool(getattr(self.output_quantizer, "observing", False))
        if self.training and not self.frozen:
            self._observe(x, mean, variance)
        y = self.float_norm(x, mean, rstd) if observing else self.integer_norm(x, mean, rstd)
        result: Tensor = self.output_quantizer(y.view(shape))
        return result

    def float_norm(self, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        """The same in float, while ranges are being observed."""
        return (x - mean) * (rstd * self.gamma) + self.beta

    @abstractmethod
    def integer_norm(self, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        """The normalised tensor before its output quantizer, computed as the integer ops do."""

    def input_scale(self) -> Tensor:
        """Scale of the input's grid."""
        return self.input_quantizers[0].grid()[0]

    def gamma_magnitude(self) -> Tensor:
        """|gamma| of each channel, kept away from zero because it is a scale."""
        return self.gamma.abs().clamp(min=1e-4)

    def gamma_sign(self) -> Tensor:
        """+1 or -1 for each channel."""
        return torch.where(self.gamma.detach() < 0, -1.0, 1.0)

    def _observe(self, x: Tensor, mean: Tensor, variance: Tensor) -> None:
        with torch.no_grad():
            deviation = (x - mean).abs().amax((1, 2)) * torch.rsqrt(variance.flatten())
            follow(self.variance_max, variance.max(), torch.maximum)
            follow(self.energy_max, x.square().mean(2).max(), torch.maximum)
            follow(self.normalised_max, deviation.max(), torch.maximum)
            if self.variance_min == 0:
                self.variance_min.copy_(variance.min())
            follow(self.variance_min, variance.min(), torch.minimum)


def follow(extreme: Tensor, value: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Move a running extreme in place: to a new one at once, back from an old one slowly. ``choose``: torch.maximum or torch.minimum."""
    extreme.copy_(choose(value, extreme + FORGET * (value - extreme)))


def corrected(float_value: Tensor, integer_value: Tensor) -> Tensor:
    """The integer value with the float value's gradient."""
    return straight_through(integer_value, float_value)
