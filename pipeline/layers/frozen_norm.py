"""A norm whose statistics are constants once it is trained, and the factors that are left of it, which go into the layers around them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.layers.accounting import Macs
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.depthwise import Depthwise, QuantizedDepthwise, emit_depthwise, emit_float_depthwise
from pipeline.layers.global_norm.float import at_least_float32

MOMENTUM = 0.01


class Gain(Depthwise):
    """A constant factor for each channel, [B, T, C]. ``fold_gains`` moves it into convolutions where it can."""


class FrozenNorm(nn.Module):
    """Each channel divided by its root mean square over all examples, times gamma; [B, ..., C].

    While training the mean square is that of the batch, and ``mean_square`` [C] follows it; else it is ``mean_square``, as in a batch norm
    (Ioffe and Szegedy 2015). No mean is taken away and nothing is added, so silence stays silence, and the zeros that a convolution behind
    it puts before the first frame are what the norm would give there. The convolutions around it have biases for the rest.
    """

    mean_square: Tensor

    def __init__(self, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.register_buffer("mean_square", torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = at_least_float32(x)
        if not self.training:
            return (wide * self.gain()).to(x.dtype)
        mean_square = wide.square().flatten(0, -2).mean(0)
        with torch.no_grad():
            self.mean_square.lerp_(mean_square.detach().to(self.mean_square.dtype), MOMENTUM)
        return (wide * (self.gamma * torch.rsqrt(mean_square + self.eps))).to(x.dtype)

    def gain(self) -> Tensor:
        """The constant factor of each channel [C] that is left of it after training."""
        return self.gamma * torch.rsqrt(self.mean_square + self.eps)

    def plain(self) -> nn.Module:
        """The constant factors that it is after training."""
        return Gain.affine(self.gain(), torch.zeros_like(self.gamma))

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """None: its factors are folded into the convolutions around it."""
        return Macs(0, 0)


GAIN = Layer(Gain, Twin(QuantizedDepthwise, emit_depthwise), emit_float_depthwise)
