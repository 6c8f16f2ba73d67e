"""Cutting frames into half-overlapping chunks and back (Luo, Chen and Yoshioka 2020), for networks that work within and across them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SplitChunks(nn.Module):
    """Frames [B, F, C] to half-overlapping chunks [B, S, K, C]; K must be even.

    Half a chunk of zeros comes before the first frame, and after the last one at least as much, so that every frame lies in two chunks
    and S is even.
    """

    def __init__(self, chunk_size: int) -> None:
        super().__init__()
        self.chunk_size = chunk_size

    def forward(self, frames: Tensor) -> Tensor:
        hop = self.chunk_size // 2
        rest = self.chunk_size - (hop + frames.shape[1]) % self.chunk_size
        padded = functional.pad(frames, (0, 0, hop, rest + hop))
        return padded.unfold(1, self.chunk_size, hop).transpose(2, 3)


class MergeChunks(nn.Module):
    """The sum of half-overlapping chunks [B, S, K, C], without their padding: [B, frames, C]."""

    def forward(self, chunks: Tensor, frames: int) -> Tensor:
        hop = chunks.shape[2] // 2
        first, second = chunks[:, :, :hop], chunks[:, :, hop:]
        total = functional.pad(first, (0, 0, 0, 0, 0, 1)) + functional.pad(second, (0, 0, 0, 0, 1, 0))
        return total.flatten(1, 2)[:, hop : hop + frames]


def within_chunks(module: nn.Module, chunks: Tensor) -> Tensor:
    """A module of sequences [N, L, C] over the K frames of each chunk of [B, S, K, C]."""
    result: Tensor = module(chunks.flatten(0, 1)).unflatten(0, chunks.shape[:2])
    return result


def across_chunks(module: nn.Module, chunks: Tensor) -> Tensor:
    """A module of sequences [N, L, C] over the S chunks of [B, S, K, C], for each place in the chunk."""
    return within_chunks(module, chunks.transpose(1, 2)).transpose(1, 2)
