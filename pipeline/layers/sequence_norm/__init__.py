"""The norm of each sequence by itself."""

from __future__ import annotations

from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.sequence_norm.float import SequencesNorm
from pipeline.layers.sequence_norm.quantized import QuantizedSequencesNorm
from pipeline.layers.sequence_norm.to_onnx import emit_float_sequences_norm, emit_sequences_norm

SEQUENCES_NORM = Layer(SequencesNorm, Twin(QuantizedSequencesNorm, emit_sequences_norm, without_affine=True), emit_float_sequences_norm)
