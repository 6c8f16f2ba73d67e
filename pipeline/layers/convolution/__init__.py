"""Convolutions over planes and over time, and transposed ones."""

from __future__ import annotations

from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling
from pipeline.layers.convolution.quantized import Convolution, Upsampling
from pipeline.layers.convolution.to_float_onnx import emit_float_convolution, emit_float_upsampling
from pipeline.layers.convolution.to_onnx import emit_convolution, emit_upsampling
from pipeline.layers.declaration import Layer, Twin

_CONVOLUTION, _UPSAMPLING = Twin(Convolution, emit_convolution), Twin(Upsampling, emit_upsampling)
TIME_CONV = Layer(TimeConv, _CONVOLUTION, emit_float_convolution)
SPECTRUM_CONV = Layer(SpectrumConv, _CONVOLUTION, emit_float_convolution)
TIME_UPSAMPLING = Layer(TimeUpsampling, _UPSAMPLING, emit_float_upsampling)
SPECTRUM_UPSAMPLING = Layer(SpectrumUpsampling, _UPSAMPLING, emit_float_upsampling)
