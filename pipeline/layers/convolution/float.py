"""Convolutions over time and over frequency, channels-last: waveforms [B, T, C], spectrograms [B, Fr, T, C]."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.elementwise.float import activate


class TimeConv(nn.Conv1d):
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


class SpectrumConv(nn.Conv2d):
    """Convolution of a spectrogram [B, Fr, T, I] to [B, Fr', T', O], with the named activation (glu halves O)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int], activation: str
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, (stride, 1), padding)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), self.activation)


class TimeUpsampling(nn.ConvTranspose1d):
    """Transposed convolution over time: [B, T, I] to [B, (T - 1) * stride + kernel_size, O]."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x.transpose(1, 2), output_size).transpose(1, 2)


class SpectrumUpsampling(nn.ConvTranspose2d):
    """Transposed convolution over frequency: [B, Fr, T, I] to [B, (Fr - 1) * stride + kernel_size, T, O]."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x.permute(0, 3, 1, 2), output_size).permute(0, 2, 3, 1)


class FirstTimeConv(TimeConv):
    """The first layer of a waveform's branch, which FQSS gives a splitter."""


class FirstSpectrumConv(SpectrumConv):
    """The first layer of a spectrogram's branch, which FQSS gives a splitter."""


class LastTimeUpsampling(TimeUpsampling):
    """The last layer of a waveform's branch, which FQSS gives a reconstructor."""


class LastSpectrumUpsampling(SpectrumUpsampling):
    """The last layer of a spectrogram's branch, which FQSS gives a reconstructor."""


class PadToStride(nn.Module):
    """Zeros behind a waveform [B, T, C], up to a multiple of ``stride``."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (0, 0, 0, -x.shape[1] % self.stride))


class Crop(nn.Module):
    """As many bins or samples as the second tensor has, [B, T, C] or [B, Fr, T, C], without the first ``start``."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return x[:, self.start : self.start + like.shape[1]]


class JoinBins(nn.Module):
    """A spectrogram [B, Fr, T, C] as one sequence [B, Fr * T, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2)


class SplitBins(nn.Module):
    """One sequence [B, Fr * T, C] as a spectrogram [B, Fr, T, C] of ``bins`` frequencies."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(1, (self.bins, -1))
        return split
