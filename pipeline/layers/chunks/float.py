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
        padded = functional.pad(frames, (0, 0, *self.padding(frames.shape[1])))
        return padded.unfold(1, self.chunk_size, self.chunk_size // 2).transpose(2, 3)

    def padding(self, frames: int) -> tuple[int, int]:
        """Frames of zeros before the first frame and after the last one."""
        hop = self.chunk_size // 2
        return hop, self.chunk_size - (hop + frames) % self.chunk_size + hop


class MergeChunks(nn.Module):
    """The sum of half-overlapping chunks [B, S, K, C], without their padding: [B, F, C], as long as ``frames`` [B, F, any]."""

    def forward(self, chunks: Tensor, frames: Tensor) -> Tensor:
        hop = chunks.shape[2] // 2
        total = chunks[:, 1:, :hop] + chunks[:, :-1, hop:]  # without the half chunk before the first frame and the one at the end
        return total.flatten(1, 2)[:, : frames.shape[1]]


class TransposeChunks(nn.Module):
    """Chunks [B, S, K, C] to the S frames at each place in them [B, K, S, C], or back."""

    def forward(self, chunks: Tensor) -> Tensor:
        return chunks.transpose(1, 2)
