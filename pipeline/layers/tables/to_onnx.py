"""The sum of sequences and a table of their positions."""

from __future__ import annotations

import numpy as np

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.attention.quantized import PositionTable


def emit_position_table(graph: GraphBuilder, layer: PositionTable, inputs: list[Value], name: str) -> Value:
    """Add of an int8 constant [1, 1, L, C] to the sequences [1, N, L, C]."""
    (x,) = inputs
    assert x.sequences is not None
    length = x.frames // x.sequences
    scale, zero_point = (value.item() for value in layer.table_quantizer.grid())
    codes = np.rint(layer.table(length).detach().numpy() / np.float32(scale)) + zero_point
    table = graph.dequantize(graph.const(f"{name}.table", codes[None], np.int8), scale, int(zero_point))
    read = graph.dequantize(graph.as_sequences(x), x.grid(), x.zero_point)
    total = graph.write(graph.node("Add", [read, table], f"{name}/add"), f"{name}/total", x.channels, x.frames, layer.output_quantizer)
    return graph.as_frames(total.name, Value(name, x.channels, x.frames, total.scale, total.zero_point))
