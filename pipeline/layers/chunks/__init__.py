"""Half-overlapping chunks of frames."""

from __future__ import annotations

from pipeline.layers.chunks.float import MergeChunks, SplitChunks, TransposeChunks
from pipeline.layers.chunks.quantized import QuantizedMergeChunks, QuantizedSplitChunks, QuantizedTransposeChunks
from pipeline.layers.chunks.to_onnx import (
    emit_float_merge_chunks,
    emit_float_split_chunks,
    emit_float_transpose_chunks,
    emit_merge_chunks,
    emit_split_chunks,
    emit_transpose_chunks,
)
from pipeline.layers.declaration import Layer, Twin

SPLIT_CHUNKS = Layer(SplitChunks, Twin(QuantizedSplitChunks, emit_split_chunks), emit_float_split_chunks)
TRANSPOSE_CHUNKS = Layer(TransposeChunks, Twin(QuantizedTransposeChunks, emit_transpose_chunks), emit_float_transpose_chunks)
MERGE_CHUNKS = Layer(MergeChunks, Twin(QuantizedMergeChunks, emit_merge_chunks), emit_float_merge_chunks)
