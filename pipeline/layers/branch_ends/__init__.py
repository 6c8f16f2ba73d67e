"""The inputs and outputs of a network of two branches."""

from __future__ import annotations

from pipeline.layers.branch_ends.float import FirstSpectrumConv, FirstTimeConv, LastSpectrumUpsampling, LastTimeUpsampling
from pipeline.layers.branch_ends.quantized import (
    ByteConvolution,
    ByteUpsampling,
    Int16Convolution,
    Int16Upsampling,
    ReconstructingUpsampling,
    SplitConvolution,
)
from pipeline.layers.branch_ends.to_onnx import (
    emit_byte_convolution,
    emit_byte_upsampling,
    emit_reconstructing_upsampling,
    emit_split_convolution,
)
from pipeline.layers.convolution.to_float_onnx import emit_float_convolution, emit_float_upsampling
from pipeline.layers.declaration import Layer, Twin, by_input, by_output, emit_nothing

_FIRST = by_input(
    split=Twin(SplitConvolution, emit_split_convolution),
    byte=Twin(ByteConvolution, emit_byte_convolution),
    int16=Twin(Int16Convolution, emit_nothing),
)
_LAST = by_output(
    rqb=Twin(ReconstructingUpsampling, emit_reconstructing_upsampling),
    byte=Twin(ByteUpsampling, emit_byte_upsampling),
    int16=Twin(Int16Upsampling, emit_nothing),
)
FIRST_TIME_CONV = Layer(FirstTimeConv, _FIRST, emit_float_convolution)
FIRST_SPECTRUM_CONV = Layer(FirstSpectrumConv, _FIRST, emit_float_convolution)
LAST_TIME_UPSAMPLING = Layer(LastTimeUpsampling, _LAST, emit_float_upsampling)
LAST_SPECTRUM_UPSAMPLING = Layer(LastSpectrumUpsampling, _LAST, emit_float_upsampling)
