"""cLN: the norm over the channels of each frame."""

from __future__ import annotations

from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.channel_norm.quantized import QuantizedChannelNorm
from pipeline.layers.channel_norm.to_onnx import emit_channel_norm
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.global_norm.to_float_onnx import emit_float_norm

CHANNEL_NORM = Layer(ChannelLayerNorm, Twin(QuantizedChannelNorm, emit_channel_norm, without_affine=True), emit_float_norm)
