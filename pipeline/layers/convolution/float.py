"""Convolutions over time and over frequency, channels-last: waveforms [B, T, C], spectrograms [B, Fr, T, C]."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from pipeline.layers.accounting import Macs, alike, transposed_convolution
from pipeline.layers.activation import activate
from pipeline.layers.gated import Gated
from pipeline.layers.pointwise import Pointwise, with_activation


class ActivatedConv(_ConvNd):
    """Base of the convolutions with a named activation: what is alike over time and over a spectrogram."""

    activation: str

    @abstractmethod
    def like(self, out_channels: int) -> ActivatedConv:
        """Another one of this class with other output channels, new weights and no activation."""

    def plain(self) -> nn.Module:
        """As :func:`plain_convolution`."""
        return plain_convolution(self)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Outputs are counted before a glu halves them."""
        return alike(output.numel() // output.shape[-1] * self.weight.numel())

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each output channel."""
        return len(self.weight), self.weight.numel()


class TimeConv(ActivatedConv, nn.Conv1d):
    """Convolution over time [B, ..., T, I] to [B, ..., T', O], with the named activation (glu halves O)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        padding: int = 0,
        activation: str = "linear",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x.flatten(0, -3).transpose(1, 2)).transpose(1, 2)
        result: Tensor = activate(y, self.activation).unflatten(0, x.shape[:-2])
        return result

    def like(self, out_channels: int) -> TimeConv:
        settings = self.kernel_size[0], self.stride[0], self.dilation[0], int(self.padding[0])
        return type(self)(self.in_channels, out_channels, *settings)


class SpectrumConv(ActivatedConv, nn.Conv2d):
    """Convolution of a spectrogram [B, Fr, T, I] to [B, Fr', T', O], with the named activation (glu halves O)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int], activation: str
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, (stride, 1), padding)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), self.activation)

    def like(self, out_channels: int) -> SpectrumConv:
        kernel, padding = (self.kernel_size[0], self.kernel_size[1]), (int(self.padding[0]), int(self.padding[1]))
        return type(self)(self.in_channels, out_channels, kernel, self.stride[0], padding, "linear")


def plain_convolution(layer: ActivatedConv) -> nn.Module:
    """A convolution and its activation as layers of their own; a gated one as two of them, a sigmoid and a product."""
    if layer.activation == "glu":
        half = layer.out_channels // 2
        return Gated(linear_part(layer, slice(half)), linear_part(layer, slice(half, None)))
    return with_activation(linear_part(layer), layer.activation)


def linear_part(layer: ActivatedConv, channels: slice = slice(None)) -> nn.Module:
    """A convolution without its activation, with some of its output channels; of one tap, as a 1x1 convolution."""
    assert layer.bias is not None
    weight, bias = layer.weight.detach()[channels], layer.bias.detach()[channels]
    if layer.weight[0, 0].numel() == 1:
        return Pointwise.of(weight.flatten(1), bias)
    part = layer.like(len(bias))
    part.weight, part.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return part


class TimeUpsampling(nn.ConvTranspose1d):
    """Transposed convolution over time: [B, T, I] to [B, (T - 1) * stride + kernel_size, O]."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x.transpose(1, 2), output_size).transpose(1, 2)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Those of a transposed convolution."""
        return transposed_convolution(inputs[0], output, self.out_channels, self.kernel_size[0], self.stride[0])

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each output channel."""
        return self.out_channels, self.weight.numel()


class SpectrumUpsampling(nn.ConvTranspose2d):
    """Transposed convolution over frequency: [B, Fr, T, I] to [B, (Fr - 1) * stride + kernel_size, T, O]."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x.permute(0, 3, 1, 2), output_size).permute(0, 2, 3, 1)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Those of a transposed convolution."""
        return transposed_convolution(inputs[0], output, self.out_channels, self.kernel_size[0], self.stride[0])

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each output channel."""
        return self.out_channels, self.weight.numel()
