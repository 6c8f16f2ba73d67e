"""Learned filterbanks as other published networks have them: waveforms [B, A, T] of A audio channels, features [B, F, N]."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.elementwise.float import overlap_add


class RectifiedEncoder(nn.Conv1d):
    """Waveform [B, A, T] to non-negative features [B, F, N], F = (T - kernel_size) / stride + 1; no bias."""

    def __init__(self, audio_channels: int, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(audio_channels, n_filters, kernel_size, stride, bias=False)

    @property
    def filters(self) -> Tensor:
        """The filters [N, A, kernel_size]."""
        return self.weight

    def forward(self, waveform: Tensor) -> Tensor:
        return functional.relu(super().forward(waveform)).transpose(1, 2)


class MonoEncoder(RectifiedEncoder):
    """One channel of audio [B, T] to non-negative features [B, F, N]."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(1, n_filters, kernel_size, stride)

    def forward(self, waveform: Tensor) -> Tensor:
        return super().forward(waveform[:, None])


class FrameDecoder(nn.Linear):
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


class MonoFrameDecoder(FrameDecoder):
    """Features [B, F, N] to one channel of audio [B, (F - 1) * stride + K]."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, 1, kernel_size, stride)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)[:, 0]


class TransposedDecoder(nn.ConvTranspose1d):
    """Transposed convolution of features [B, F, N] to a waveform [B, A, (F - 1) * stride + K]; no bias."""

    def __init__(self, n_filters: int, audio_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, audio_channels, kernel_size, stride, bias=False)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(features.transpose(1, 2), output_size)


class MonoDecoder(TransposedDecoder):
    """Features [B, F, N] to one channel of audio [B, (F - 1) * stride + K]."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_filters, 1, kernel_size, stride)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(features, output_size)[:, 0]
