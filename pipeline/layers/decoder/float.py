"""Learned synthesis filterbanks: features [B, F, N] to waveforms [B, T], or [B, A, T] of A audio channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.accounting import Macs, alike, transposed_convolution
from pipeline.layers.ends import FilterbankOutput


class Decoder(FilterbankOutput, nn.Module):
    """Learned synthesis filterbank: masked features [B, F, N] to a waveform [B, (F - 1) * stride + kernel_size] by overlap_add."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.filterbank = nn.ParameterDict({"_filters": nn.Parameter(torch.empty(n_filters, 1, kernel_size))})
        nn.init.xavier_normal_(self.filterbank["_filters"])
        self.kernel_size, self.stride = kernel_size, stride

    @property
    def filters(self) -> Tensor:
        """The filters [N, 1, kernel_size]."""
        filters: Tensor = self.filterbank["_filters"]
        return filters

    def forward(self, features: Tensor) -> Tensor:
        return overlap_add(functional.linear(features, self.filterbank["_filters"][:, 0].t()), self.stride)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Those of a transposed convolution."""
        return transposed_convolution(inputs[0], output, 1, self.kernel_size, self.stride)

    def int8_weights(self) -> tuple[int, int]:
        """A transposed convolution has its output channels on the second axis."""
        return self.filters.shape[1], self.filters.numel()


def overlap_add(frames: Tensor, stride: int) -> Tensor:
    """Sum of frames [B, F, K] placed ``stride`` apart: [B, (F - 1) * stride + K]."""
    count, kernel_size = frames.shape[1], frames.shape[2]
    parts = -(-kernel_size // stride)
    padded = functional.pad(frames, (0, parts * stride - kernel_size))
    total = sum(
        functional.pad(padded[..., part * stride : (part + 1) * stride].flatten(1), (part * stride, (parts - 1 - part) * stride))
        for part in range(parts)
    )
    assert isinstance(total, Tensor)
    return total[:, : (count - 1) * stride + kernel_size]


class FrameDecoder(FilterbankOutput, nn.Linear):
    """A linear map of each frame to A * K samples and their overlap-add: [B, F, N] to [B, A, (F - 1) * stride + K]; no bias."""

    def __init__(self, n_filters: int, audio_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, audio_channels * kernel_size, bias=False)
        self.audio_channels, self.stride = audio_channels, stride

    @property
    def filters(self) -> Tensor:
        """The filters [N, A, kernel_size]."""
        filters: Tensor = self.weight.t().unflatten(1, (self.audio_channels, -1))
        return filters

    def forward(self, features: Tensor) -> Tensor:
        frames = super().forward(features).unflatten(-1, (self.audio_channels, -1)).transpose(1, 2)  # [B, A, F, K]
        return overlap_add(frames.flatten(0, 1), self.stride).view(len(features), self.audio_channels, -1)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """As many by both conventions."""
        return alike(inputs[0].numel() * self.out_features)

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each sample of a frame."""
        return len(self.weight), self.weight.numel()


class MonoFrameDecoder(FrameDecoder):
    """Features [B, F, N] to one channel of audio [B, (F - 1) * stride + K]."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, 1, kernel_size, stride)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)[:, 0]

    def plain(self) -> Decoder:
        """The decoder with these filters."""
        plain = Decoder(self.in_features, self.out_features, self.stride)
        plain.filterbank["_filters"] = nn.Parameter(self.filters.detach().contiguous())
        return plain


class TransposedDecoder(FilterbankOutput, nn.ConvTranspose1d):
    """Transposed convolution of features [B, F, N] to a waveform [B, A, (F - 1) * stride + K]; no bias."""

    def __init__(self, n_filters: int, audio_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, audio_channels, kernel_size, stride, bias=False)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(features.transpose(1, 2), output_size)

    @property
    def filters(self) -> Tensor:
        """The filters [N, A, kernel_size]."""
        return self.weight

    def reconstructor_values(self) -> int:
        """In the reference implementation the reconstructor has a decoder of its own."""
        return sum(weight.numel() for weight in self.parameters())

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Those of a transposed convolution."""
        return transposed_convolution(inputs[0], output, self.out_channels, self.kernel_size[0], self.stride[0])

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each output channel."""
        return self.out_channels, self.weight.numel()


class MonoDecoder(TransposedDecoder):
    """Features [B, F, N] to one channel of audio [B, (F - 1) * stride + K]."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, 1, kernel_size, stride)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(features, output_size)[:, 0]

    def plain(self) -> Decoder:
        """The decoder with these filters."""
        plain = Decoder(self.in_channels, self.kernel_size[0], self.stride[0])
        plain.filterbank["_filters"] = self.weight
        return plain
