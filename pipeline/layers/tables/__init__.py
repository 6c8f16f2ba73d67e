"""Tables of positions and frequencies that are added to sequences and spectrograms."""

from __future__ import annotations

from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.tables.float import BinPositions, FrequencyEmbedding, LinePositions, PositionTable, TimePositions
from pipeline.layers.tables.quantized import QuantizedPositionTable, QuantizedTable
from pipeline.layers.tables.to_onnx import emit_float_position_table, emit_float_table, emit_position_table, emit_table

POSITION_TABLE = Layer(PositionTable, Twin(QuantizedPositionTable, emit_position_table), emit_float_position_table)
_TABLE = Twin(QuantizedTable, emit_table)
FREQUENCY_EMBEDDING = Layer(FrequencyEmbedding, _TABLE, emit_float_table)
LINE_POSITIONS = Layer(LinePositions, _TABLE, emit_float_table)
TIME_POSITIONS = Layer(TimePositions, _TABLE, emit_float_table)
BIN_POSITIONS = Layer(BinPositions, _TABLE, emit_float_table)
