"""What float layers tell of their work and size, by the FQSS paper's convention and by an honest one (``pipeline/accounting``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one call: by the paper's convention and by the honest one."""

    paper: int = 0
    honest: int = 0

    def __add__(self, other: Macs) -> Macs:
        return Macs(self.paper + other.paper, self.honest + other.honest)


def alike(macs: int) -> Macs:
    """As many by both conventions."""
    return Macs(macs, macs)


def transposed_convolution(x: Tensor, output: Tensor, channels: int, kernel_size: int, stride: int) -> Macs:
    """Of x [..., I] to ``output`` with ``channels``. The paper's convention takes floor(kernel / stride) taps at each sample of the
    output, its ends too."""
    return Macs(x.shape[-1] * output.numel() * (kernel_size // stride), x.numel() * channels * kernel_size)


@runtime_checkable
class CountsMacs(Protocol):
    """A layer whose work one of the conventions counts. What neither counts, sums, activations and movement of data, has no such method."""

    def macs(self, inputs: tuple[Any, ...], output: Any) -> Macs:
        """The work of the layer itself, without the layers inside it, in a call with these inputs and this output."""


@runtime_checkable
class HasInt8Weights(Protocol):
    """A layer whose weights are int8 in its quantized form."""

    def int8_weights(self) -> tuple[int, int]:
        """Channels with a scale of their own, and values."""
