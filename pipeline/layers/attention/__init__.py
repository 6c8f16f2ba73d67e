"""Multi-head attention, to itself and to another sequence."""

from __future__ import annotations

from pipeline.layers.attention.float import AttentionHeads, CrossHeads
from pipeline.layers.attention.quantized import QuantizedAttentionHeads, QuantizedCrossHeads
from pipeline.layers.attention.to_onnx import emit_attention_heads, emit_cross_heads, emit_float_attention_heads, emit_float_cross_heads
from pipeline.layers.declaration import Layer, Twin

ATTENTION_HEADS = Layer(AttentionHeads, Twin(QuantizedAttentionHeads, emit_attention_heads), emit_float_attention_heads)
CROSS_HEADS = Layer(CrossHeads, Twin(QuantizedCrossHeads, emit_cross_heads), emit_float_cross_heads)
