"""Learned analysis filterbanks: waveforms [B, T] or [B, A, T] of A audio channels to features [B, F, N]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.accounting import Macs, alike
from pipeline.layers.ends import InputEnd


class Encoder(InputEnd, nn.Module):
    """Learned analysis filterbank: waveform [B, T] to features [B, F, N], F = (T - kernel_size) / stride + 1."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int, activation: str) -> None:
        super().__init__()
        self.filterbank = nn.ParameterDict({"_filters": nn.Parameter(torch.empty(n_filters, 1, kernel_size))})
        nn.init.xavier_normal_(self.filterbank["_filters"])
        self.kernel_size, self.stride, self.relu = kernel_size, stride, activation == "relu"

    @property
    def filters(self) -> Tensor:
        """The filters [N, 1, kernel_size]."""
        filters: Tensor = self.filterbank["_filters"]
        return filters

    def forward(self, waveform: Tensor) -> Tensor:
        return self.activate(functional.linear(waveform.unfold(-1, self.kernel_size, self.stride), self.filterbank["_filters"][:, 0]))

    def activate(self, features: Tensor) -> Tensor:
        """The rectifier, where the network has one."""
        return functional.relu(features) if self.relu else features

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """As many by both conventions."""
        return alike(output.numel() * self.kernel_size)

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each filter."""
        return len(self.filters), self.filters.numel()


class RectifiedEncoder(InputEnd, nn.Conv1d):
    """Waveform [B, A, T] to non-negative features [B, F, N], F = (T - kernel_size) / stride + 1; no bias."""

    def __init__(self, audio_channels: int, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(audio_channels, n_filters, kernel_size, stride, bias=False)

    @property
    def filters(self) -> Tensor:
        """The filters [N, A, kernel_size]."""
        return self.weight

    def forward(self, waveform: Tensor) -> Tensor:
        return functional.relu(super().forward(waveform)).transpose(1, 2)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """As many by both conventions."""
        return alike(output.numel() * self.weight[0].numel())

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each filter."""
        return len(self.weight), self.weight.numel()


class MonoEncoder(RectifiedEncoder):
    """One channel of audio [B, T] to non-negative features [B, F, N]."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__(1, n_filters, kernel_size, stride)

    def forward(self, waveform: Tensor) -> Tensor:
        return super().forward(waveform[:, None])

    def plain(self) -> Encoder:
        """The encoder with these filters."""
        plain = Encoder(self.out_channels, self.kernel_size[0], self.stride[0], "relu")
        plain.filterbank["_filters"] = self.weight
        return plain
