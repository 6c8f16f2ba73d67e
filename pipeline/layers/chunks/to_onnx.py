"""Cutting frames into half-overlapping chunks, turning them for what works across them, and their sum, as ONNX nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.chunks.float import MergeChunks, SplitChunks, TransposeChunks
from pipeline.layers.chunks.quantized import QuantizedMergeChunks, QuantizedSplitChunks, QuantizedTransposeChunks


def emit_split_chunks(graph: GraphBuilder, layer: QuantizedSplitChunks, inputs: list[Value], name: str) -> Value:
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


def emit_transpose_chunks(graph: GraphBuilder, _: QuantizedTransposeChunks, inputs: list[Value], name: str) -> Value:
    """Transpose of the sequences and the places in them."""
    (x,) = inputs
    assert x.sequences is not None
    turned = graph.node("Transpose", [graph.as_sequences(x)], f"{name}/turned", perm=[0, 2, 1, 3])
    return graph.as_frames(turned, replace(x, name=name, sequences=x.frames // x.sequences))


def emit_merge_chunks(graph: GraphBuilder, layer: QuantizedMergeChunks, inputs: list[Value], name: str) -> Value:
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


def emit_float_split_chunks(graph: FloatGraph, layer: SplitChunks, inputs: list[str], name: str) -> str:
    """Half chunks, each beside the next one."""
    _, frames, channels = graph.shapes[inputs[0]]
    before, after = layer.padding(frames)
    hop = layer.chunk_size // 2
    count = (before + frames + after) // hop - 1
    padded = graph.add("Pad", [inputs[0], graph.constant(f"{name}.pads", np.array([0, 0, before, 0, 0, after]))], f"{name}.padded")
    halves = graph.as_sequences(padded, (1, count + 1, hop, channels), f"{name}.halves")
    parts = [graph.slice(halves, 1, start, count + start, f"{name}.half{start}") for start in (0, 1)]
    joined = graph.add("Concat", parts, f"{name}.joined", axis=2)
    return graph.as_frames(joined, 2 * hop * count, channels, name)


def emit_float_transpose_chunks(graph: FloatGraph, _: TransposeChunks, inputs: list[str], name: str) -> str:
    """Transpose of the sequences and the places in them."""
    shape = graph.shapes[inputs[0]]
    sequences = graph.as_sequences(inputs[0], shape, f"{name}.sequences")
    turned = graph.add("Transpose", [sequences], f"{name}.turned", perm=[0, 2, 1, 3])
    return graph.as_frames(turned, shape[1] * shape[2], shape[3], name)


def emit_float_merge_chunks(graph: FloatGraph, _: MergeChunks, inputs: list[str], name: str) -> str:
    """Add of the first halves and, one chunk earlier, the second halves, for each of the sources."""
    output = f"{name}.{inputs[0]}"  # one layer serves every source
    shape, frames = graph.shapes[inputs[0]], graph.shapes[inputs[1]][1]
    count, hop, channels = shape[1] - 1, shape[2] // 2, shape[3]
    sequences = graph.as_sequences(inputs[0], shape, f"{output}.sequences")
    parts = []
    for half in range(2):  # the first halves from the second chunk on, the second ones up to the last but one
        chosen = graph.slice(sequences, 1, 1 - half, count + 1 - half, f"{output}.chunks{half}")
        parts.append(graph.slice(chosen, 2, half * hop, (half + 1) * hop, f"{output}.halves{half}"))
    total = graph.as_frames(graph.add("Add", parts, f"{output}.total"), count * hop, channels, f"{output}.padded")
    return graph.slice(total, 2, 0, frames, output)
