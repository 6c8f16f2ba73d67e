"""Quantized twins of chunks: two only move codes, the third adds two of them."""

from __future__ import annotations

from torch import Tensor

from pipeline.layers.chunks.float import MergeChunks, SplitChunks, TransposeChunks
from pipeline.layers.quantized_layer import QuantizedLayer, Rearrangement


class QuantizedSplitChunks(Rearrangement):
    """Frames [B, F, C] to chunks [B, S, K, C]; the padding is the code of 0."""

    def __init__(self, layer: SplitChunks) -> None:
        super().__init__()
        self.layer = layer
        self.chunk_size = layer.chunk_size

    def forward(self, frames: Tensor) -> Tensor:
        chunks: Tensor = self.layer(frames)
        return chunks


class QuantizedTransposeChunks(Rearrangement):
    """Chunks [B, S, K, C] to the frames at each place in them [B, K, S, C], or back."""

    def __init__(self, _: TransposeChunks) -> None:
        super().__init__()

    def forward(self, chunks: Tensor) -> Tensor:
        return chunks.transpose(1, 2).contiguous()


class QuantizedMergeChunks(QuantizedLayer):
    """Chunks [B, S, K, C] to frames [B, F, C], each the sum of two int8 codes."""

    def __init__(self, layer: MergeChunks) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, chunks: Tensor, frames: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(self.layer(chunks, frames))
        return result
