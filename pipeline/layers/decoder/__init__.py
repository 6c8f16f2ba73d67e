"""The output: a synthesis filterbank, with a reconstructor where the recipe has one."""

from __future__ import annotations

from pipeline.layers.declaration import Layer, Twin, by_output, emit_nothing
from pipeline.layers.decoder.float import Decoder, FrameDecoder
from pipeline.layers.decoder.quantized import ByteDecoder, Int16Decoder, ReconstructingDecoder
from pipeline.layers.decoder.to_float_onnx import emit_float_decoder
from pipeline.layers.decoder.to_onnx import emit_byte_decoder, emit_reconstructing_decoder

_TWINS = by_output(
    rqb=Twin(ReconstructingDecoder, emit_reconstructing_decoder),
    byte=Twin(ByteDecoder, emit_byte_decoder),
    int16=Twin(Int16Decoder, emit_nothing),
)
DECODER = Layer(Decoder, _TWINS, emit_float_decoder)
FRAME_DECODER = Layer(FrameDecoder, _TWINS, emit_float_decoder)
