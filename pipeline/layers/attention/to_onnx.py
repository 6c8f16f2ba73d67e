"""The heads of an attention as ONNX nodes: two matrix products with a softmax between them, for each head."""

from __future__ import annotations

import numpy as np

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.attention.float import AttentionHeads, CrossHeads
from pipeline.layers.attention.quantized import QuantizedAttentionHeads, QuantizedCrossHeads


def emit_attention_heads(graph: GraphBuilder, layer: QuantizedAttentionHeads, inputs: list[Value], name: str) -> Value:
    """Heads are slices of the channels, and their outputs are joined on one grid, so nothing is transposed but what MatMul reads."""
    (x,) = inputs
    channels, sequences = x.channels // 3, graph.as_sequences(x)
    parts = {kind: (x, sequences, part * channels) for part, kind in enumerate("qkv")}
    return _heads(graph, layer, parts, channels, name)


def emit_cross_heads(graph: GraphBuilder, layer: QuantizedCrossHeads, inputs: list[Value], name: str) -> Value:
    """As :func:`emit_attention_heads`, with keys and values of another sequence."""
    query, memory = inputs
    channels, rows = query.channels, graph.as_sequences(memory)
    parts = {"q": (query, graph.as_sequences(query), 0), "k": (memory, rows, 0), "v": (memory, rows, channels)}
    return _heads(graph, layer, parts, channels, name)


def _heads(
    graph: GraphBuilder,
    layer: QuantizedAttentionHeads | QuantizedCrossHeads,
    parts: dict[str, tuple[Value, str, int]],
    channels: int,
    name: str,
) -> Value:
    """``parts``: of queries, keys and values, the activation, its name as sequences, and the first of the channels."""
    x, width = parts["q"][0], channels // layer.heads
    long = isinstance(layer, QuantizedCrossHeads) and parts["k"][0].frames > layer.LONGEST
    weights_quantizer = layer.long_weights_quantizer if isinstance(layer, QuantizedCrossHeads) and long else layer.weights_quantizer
    grids = [tuple(value.item() for value in quantizer.grid()) for quantizer in (layer.logits_quantizer, weights_quantizer)]
    outputs = []
    for head in range(layer.heads):
        starts = {kind: (sequences, first + head * width) for kind, (_, sequences, first) in parts.items()}
        slices = [graph.slice(part, [start], [start + width], [3], f"{name}/{kind}{head}") for kind, (part, start) in starts.items()]
        sources = (source for source, _, _ in parts.values())
        query, key, value = (graph.dequantize(part, source.grid(), source.zero_point) for part, source in zip(slices, sources, strict=True))
        turned = graph.node("Transpose", [key], f"{name}/k{head}/turned", perm=[0, 1, 3, 2])
        edge = graph.node("MatMul", [query, turned], f"{name}/logits{head}/product")
        logits = _quantized(graph, edge, f"{name}/logits{head}", grids[0])
        edge = graph.node("Softmax", [logits], f"{name}/softmax{head}", axis=-1)
        if long:
            edge = _quantized(graph, edge, f"{name}/wide_weights{head}", QuantizedCrossHeads.WIDE_GRID, np.int16)
        weights = _quantized(graph, edge, f"{name}/weights{head}", grids[1])
        edge = graph.node("MatMul", [weights, value], f"{name}/output{head}/product")
        outputs.append(graph.write(edge, f"{name}/output{head}", width, x.frames, layer.output_quantizer))
    joined = graph.node("Concat", [output.name for output in outputs], f"{name}/joined", axis=3)
    return graph.as_frames(joined, Value(name, channels, x.frames, outputs[0].scale, outputs[0].zero_point))


def _quantized(graph: GraphBuilder, edge: str, name: str, grid: tuple[float, ...], dtype: type = np.int8) -> str:
    """The float edge of a tensor after its own quantizer."""
    scale, zero_point = np.float32(grid[0]), int(grid[1])
    return graph.dequantize(graph.quantize(edge, name, scale, zero_point, dtype), scale, zero_point, dtype)


def emit_float_attention_heads(graph: FloatGraph, layer: AttentionHeads, inputs: list[str], name: str) -> str:
    """Two matrix products and a softmax for each head, which is a slice of the channels."""
    _, count, length, channels = graph.shapes[inputs[0]]
    width = channels // 3 // layer.heads
    sequences = graph.as_sequences(inputs[0], (1, count, length, channels), f"{name}.sequences")
    outputs = []
    for head in range(layer.heads):
        starts = {kind: part * channels // 3 + head * width for part, kind in enumerate("qkv")}
        query, key, value = (graph.slice(sequences, 3, start, start + width, f"{name}.{kind}{head}") for kind, start in starts.items())
        turned = graph.add("Transpose", [key], f"{name}.turned{head}", perm=[0, 1, 3, 2])
        logits = graph.add("MatMul", [query, turned], f"{name}.logits{head}")
        weights = graph.add("Softmax", [logits], f"{name}.weights{head}", axis=-1)
        outputs.append(graph.add("MatMul", [weights, value], f"{name}.output{head}"))
    return graph.as_frames(graph.add("Concat", outputs, f"{name}.joined", axis=3), count * length, channels // 3, name)


def emit_float_cross_heads(graph: FloatGraph, layer: CrossHeads, inputs: list[str], name: str) -> str:
    """As :func:`emit_float_attention_heads`, with keys and values of another sequence."""
    rows = [graph.add("Transpose", [source], f"{name}.rows{place}", perm=[0, 2, 1]) for place, source in enumerate(inputs)]
    channels = graph.shapes[inputs[0]][2]
    width = channels // layer.heads
    outputs = []
    for head in range(layer.heads):
        starts = {"q": (rows[0], head * width), "k": (rows[1], head * width), "v": (rows[1], channels + head * width)}
        query, key, value = (graph.slice(part, 2, start, start + width, f"{name}.{kind}{head}") for kind, (part, start) in starts.items())
        turned = graph.add("Transpose", [key], f"{name}.turned{head}", perm=[0, 2, 1])
        weights = graph.add("Softmax", [graph.add("MatMul", [query, turned], f"{name}.logits{head}")], f"{name}.weights{head}", axis=-1)
        outputs.append(graph.add("MatMul", [weights, value], f"{name}.output{head}"))
    joined = graph.add("Concat", outputs, f"{name}.joined", axis=2)
    return graph.add("Transpose", [joined], name, perm=[0, 2, 1])
