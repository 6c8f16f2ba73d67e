"""The heads of an attention: two matrix products with a softmax between them, for each head."""

from __future__ import annotations

from pipeline.export.graph import GraphBuilder, Value
from pipeline.quantization.sequence_layers import AttentionHeads


def emit_attention_heads(graph: GraphBuilder, layer: AttentionHeads, inputs: list[Value], name: str) -> Value:
    """Heads are slices of the channels, and their outputs are joined on one grid, so nothing is transposed but what MatMul reads."""
    (x,) = inputs
    channels = x.channels // 3
    width = channels // layer.heads
    sequences = graph.as_sequences(x)
    grids = [tuple(value.item() for value in quantizer.grid()) for quantizer in (layer.logits_quantizer, layer.weights_quantizer)]
    outputs = []
    for head in range(layer.heads):
        starts = {kind: part * channels + head * width for part, kind in enumerate("qkv")}
        slices = [graph.slice(sequences, [start], [start + width], [3], f"{name}/{kind}{head}") for kind, start in starts.items()]
        query, key, value = (graph.dequantize(part, x.grid(), x.zero_point) for part in slices)
        turned = graph.node("Transpose", [key], f"{name}/k{head}/turned", perm=[0, 1, 3, 2])
        edge = graph.node("MatMul", [query, turned], f"{name}/logits{head}/product")
        logits = _quantized(graph, edge, f"{name}/logits{head}", grids[0])
        weights = _quantized(graph, graph.node("Softmax", [logits], f"{name}/softmax{head}", axis=-1), f"{name}/weights{head}", grids[1])
        edge = graph.node("MatMul", [weights, value], f"{name}/output{head}/product")
        outputs.append(graph.write(edge, f"{name}/output{head}", width, x.frames, layer.output_quantizer))
    joined = graph.node("Concat", [output.name for output in outputs], f"{name}/joined", axis=3)
    return graph.as_frames(joined, Value(name, channels, x.frames, outputs[0].scale, outputs[0].zero_point))


def _quantized(graph: GraphBuilder, edge: str, name: str, grid: tuple[float, ...]) -> str:
    """The float edge of a tensor after its own quantizer."""
    scale, zero_point = grid
    graph.quantize(edge, name, scale, int(zero_point))
    return graph.dequantize(name, scale, int(zero_point))
