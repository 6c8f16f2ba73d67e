"""Bidirectional LSTMs."""

from __future__ import annotations

from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.lstm.float import BiLstm
from pipeline.layers.lstm.quantized import QuantizedBiLstm
from pipeline.layers.lstm.to_float_onnx import emit_float_bi_lstm
from pipeline.layers.lstm.to_onnx import emit_bi_lstm

BI_LSTM = Layer(BiLstm, Twin(QuantizedBiLstm, emit_bi_lstm), emit_float_bi_lstm)
