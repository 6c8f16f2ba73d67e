"""Cutting frames into half-overlapping chunks, turning them for what works across them, and their sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.chunks import quantized as chunks


def emit_split_chunks(graph: GraphBuilder, layer: chunks.SplitChunks, inputs: list[Value], name: str) -> Value:
    """Half chunks [1, S + 1, K / 2, C], each beside the next one: [1, S, K, C]."""
    (x,) = inputs
    hop = layer.chunk_size // 2
    before, after = layer.layer.padding(x.frames)
    pads = graph.const(f"{name}/pads", [0, 0, before, 0, 0, after], np.int64)
    padded = graph.node("Pad", [x.name, pads, graph.const(f"{name}/zero", x.zero_point, np.int8)], f"{name}/padded")
    count = (before + x.frames + after) // hop
    halves = graph.as_sequences(replace(x, name=padded, frames=count * hop, sequences=count))
    first = graph.slice(halves, [0], [count - 1], [1], f"{name}/first_halves")
    second = graph.slice(halves, [1], [count], [1], f"{name}/second_halves")
    joined = graph.node("Concat", [first, second], f"{name}/joined", axis=2)
    return graph.as_frames(joined, replace(x, name=name, frames=(count - 1) * 2 * hop, sequences=count - 1))


def emit_transpose_chunks(graph: GraphBuilder, _: chunks.TransposeChunks, inputs: list[Value], name: str) -> Value:
    """Transpose of the sequences and the places in them."""
    (x,) = inputs
    assert x.sequences is not None
    turned = graph.node("Transpose", [graph.as_sequences(x)], f"{name}/turned", perm=[0, 2, 1, 3])
    return graph.as_frames(turned, replace(x, name=name, sequences=x.frames // x.sequences))


def emit_merge_chunks(graph: GraphBuilder, layer: chunks.MergeChunks, inputs: list[Value], name: str) -> Value:
    """Add of the first halves and, one chunk earlier, the second halves, and a Slice down to the frames."""
    x, frames = inputs
    assert x.sequences is not None
    count, size = x.sequences, x.frames // x.sequences
    hop = size // 2
    sequences = graph.as_sequences(x)
    first = graph.slice(sequences, [1, 0], [count, hop], [1, 2], f"{name}/first_halves")
    second = graph.slice(sequences, [0, hop], [count - 1, size], [1, 2], f"{name}/second_halves")
    edge = graph.node("Add", [graph.dequantize(half, x.grid(), x.zero_point) for half in (first, second)], f"{name}/add")
    total = graph.write(edge, f"{name}/total", x.channels, (count - 1) * hop, layer.output_quantizer)
    padded = graph.as_frames(total.name, replace(total, name=f"{name}/padded"))
    graph.slice(padded.name, [0], [frames.frames], [2], name)
    return replace(padded, name=name, frames=frames.frames, sequences=1)
