"""Tables that are added to spectrograms [B, Fr, T, C] and sequences [..., L, C]: a learned one of frequencies, and positions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

EMBEDDING_SCALE, EMBEDDING_WEIGHT = 10.0, 0.2
PERIOD = 10000.0


class Table(nn.Module, ABC):
    """Adds rows that depend on the place alone; a sequence [B, L, C] counts as one bin of L frames."""

    @abstractmethod
    def rows(self, bins: int, frames: int) -> Tensor:
        """What is added, [bins or 1, frames or 1, C]."""

    def forward(self, x: Tensor) -> Tensor:
        bins, frames = (x.shape[1] if x.dim() == 4 else 1), x.shape[-2]
        rows = self.rows(bins, frames).to(x.device)
        return x + (rows if x.dim() == 4 else rows[0])


class FrequencyEmbedding(Table):
    """A learned vector for each of the frequencies."""

    def __init__(self, bins: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(bins, channels)
        with torch.no_grad():
            self.embedding.weight.div_(EMBEDDING_SCALE)

    def rows(self, bins: int, frames: int) -> Tensor:
        result: Tensor = EMBEDDING_WEIGHT * EMBEDDING_SCALE * self.embedding.weight[:, None]
        return result

    def int8_weights(self) -> tuple[int, int]:
        """The paper counts a scale for each vector."""
        return len(self.embedding.weight), self.embedding.weight.numel()


class LinePositions(Table):
    """Positions in a sequence: cosines, then sines."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def rows(self, bins: int, frames: int) -> Tensor:
        half = self.channels // 2
        angles = torch.arange(frames)[:, None] / PERIOD ** (torch.arange(half) / (half - 1))
        return torch.cat([angles.cos(), angles.sin()], dim=-1)[None]


class TimePositions(Table):
    """Positions of a spectrogram's frames in the first half of the channels: sines and cosines in turn."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def rows(self, bins: int, frames: int) -> Tensor:
        positions = _sines_and_cosines(frames, self.channels // 2)
        return torch.cat([positions, torch.zeros_like(positions)], dim=-1)[None]


class BinPositions(TimePositions):
    """Positions of a spectrogram's frequencies in the second half of the channels."""

    def rows(self, bins: int, frames: int) -> Tensor:
        positions = _sines_and_cosines(bins, self.channels // 2)
        return torch.cat([torch.zeros_like(positions), positions], dim=-1)[:, None]


def _sines_and_cosines(length: int, channels: int) -> Tensor:
    frequencies = torch.exp(torch.arange(0, channels, 2) * (-math.log(PERIOD) / channels))
    angles = torch.arange(length)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class PositionTable(nn.Module):
    """Adds a table of sines and cosines in turn (Vaswani et al. 2017) to sequences [..., L, C]; C must be even."""

    def __init__(self, channels: int, rows: int = 2500) -> None:
        super().__init__()
        self.pe: Tensor
        self.register_buffer("pe", _sines_and_cosines(rows, channels)[None])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rows(x.shape[-2])

    def rows(self, length: int) -> Tensor:
        """The first rows of the table [1, L, C].

        Raises:
            ValueError: the table is shorter.
        """
        if length > self.pe.shape[1]:
            raise ValueError(f"a sequence of {length} is longer than its position table of {self.pe.shape[1]}")
        return self.pe[:, :length]
