"""Sums of sequences and a table as ONNX nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.tables.float import PositionTable, Table
from pipeline.layers.tables.quantized import QuantizedPositionTable, QuantizedTable


def emit_position_table(graph: GraphBuilder, layer: QuantizedPositionTable, inputs: list[Value], name: str) -> Value:
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


def emit_table(graph: GraphBuilder, layer: QuantizedTable, inputs: list[Value], name: str) -> Value:
    """Add of an int8 constant [1, Fr or 1, T or 1, C] to the sequences [1, Fr, T, C]."""
    (x,) = inputs
    assert x.sequences is not None
    scale, zero_point = (value.item() for value in layer.table_quantizer.grid())
    codes = np.rint(layer.rows(x.sequences, x.frames // x.sequences).detach().numpy() / np.float32(scale)) + zero_point
    table = graph.dequantize(graph.const(f"{name}.table", codes[None], np.int8), scale, int(zero_point))
    read = graph.dequantize(graph.as_sequences(x), x.grid(), x.zero_point)
    total = graph.write(graph.node("Add", [read, table], f"{name}/add"), f"{name}/total", x.channels, x.frames, layer.output_quantizer)
    return graph.as_frames(total.name, replace(total, name=name))


def emit_float_position_table(graph: FloatGraph, layer: PositionTable, inputs: list[str], name: str) -> str:
    """Add of the first rows."""
    shape = graph.shapes[inputs[0]]
    sequences = graph.as_sequences(inputs[0], shape, f"{name}.sequences")
    total = graph.add("Add", [sequences, graph.constant(f"{name}.table", layer.rows(shape[2])[None])], f"{name}.total")
    return graph.as_frames(total, shape[1] * shape[2], shape[3], name)


def emit_float_table(graph: FloatGraph, layer: Table, inputs: list[str], name: str) -> str:
    """Add of the rows of all frequencies and frames."""
    bins, frames = graph.sizes(inputs[0])
    with torch.no_grad():
        rows = layer.rows(bins, frames).expand(bins, frames, -1).flatten(0, 1).T[None]
    return graph.add("Add", [inputs[0], graph.constant(f"{name}.table", rows)], name)
