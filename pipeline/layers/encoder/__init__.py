"""The input: an analysis filterbank, behind a splitter where the recipe has one."""

from __future__ import annotations

from pipeline.layers.declaration import Layer, Twin, by_input, emit_nothing
from pipeline.layers.encoder.float import Encoder, RectifiedEncoder
from pipeline.layers.encoder.quantized import ByteEncoder, Int16Encoder, SplitEncoder
from pipeline.layers.encoder.to_float_onnx import emit_float_encoder, emit_float_rectified_encoder
from pipeline.layers.encoder.to_onnx import emit_encoder

_TWINS = by_input(split=Twin(SplitEncoder, emit_encoder), byte=Twin(ByteEncoder, emit_encoder), int16=Twin(Int16Encoder, emit_nothing))
ENCODER = Layer(Encoder, _TWINS, emit_float_encoder)
RECTIFIED_ENCODER = Layer(RectifiedEncoder, _TWINS, emit_float_rectified_encoder)
