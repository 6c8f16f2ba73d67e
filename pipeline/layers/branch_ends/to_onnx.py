"""The inputs and outputs of a network of two branches: splitter and first convolution, last one and reconstructor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.branch_ends.quantized import (
    BYTE,
    ByteConvolution,
    ByteUpsampling,
    InputConvolution,
    ReconstructingUpsampling,
    SplitConvolution,
)
from pipeline.layers.convolution.to_onnx import (
    as_plane,
    emit_upsampling,
    upsampling_weight,
    write_convolution,
    write_plane,
    write_upsampling,
)
from pipeline.layers.decoder.to_onnx import combine_bytes, waveform_of
from pipeline.layers.encoder.to_onnx import emit_rounder, emit_splitter
from pipeline.quantization.grid import FixedQuantizer


def emit_split_convolution(graph: GraphBuilder, layer: SplitConvolution, inputs: list[Value], name: str) -> Value:
    """Splitter and convolution."""
    (codes,) = inputs
    return _convolve(graph, layer, emit_splitter(graph, codes, _input_scale(layer), f"{codes.name}/splitter"), name)


def emit_byte_convolution(graph: GraphBuilder, layer: ByteConvolution, inputs: list[Value], name: str) -> Value:
    """8-bit input and convolution."""
    (codes,) = inputs
    return _convolve(graph, layer, emit_rounder(graph, codes, _input_scale(layer), f"{codes.name}/input"), name)


def _input_scale(layer: InputConvolution) -> np.float32:
    return np.float32(layer.input_range.grid()[0].item())


def _convolve(graph: GraphBuilder, layer: InputConvolution, x: Value, name: str) -> Value:
    bias = layer.float_bias(layer.input_range.grid()[0]).detach().numpy()
    return write_convolution(graph, layer, x, bias, name)


def emit_byte_upsampling(graph: GraphBuilder, layer: ByteUpsampling, inputs: list[Value], name: str) -> Value:
    """8-bit output on its learned grid, requantized to int16 codes of its full scale, [1, C, T]."""
    high = _high(graph, layer, inputs, name)
    wide = graph.quantize(graph.read(high), f"{name}/wide", np.float32(high.grid() / BYTE), 0, np.int16)
    return Value(waveform_of(graph, replace(high, name=wide), name), high.channels, high.frames, sequences=high.sequences)


def emit_reconstructing_upsampling(graph: GraphBuilder, layer: ReconstructingUpsampling, inputs: list[Value], name: str) -> Value:
    """X = D(Y); U = Y - E~(X); delta = D~(U); int16 = 256 * X + delta, saturated: [1, C, T]."""
    (features,) = inputs
    high = _high(graph, layer, inputs, name)
    plane = high.sequences is not None and high.sequences > 1
    codes, scale = layer.analysis_quantizer.codes(layer.analysis).numpy(), layer.analysis_quantizer.scale().numpy()
    operands = [
        graph.dequantize(as_plane(graph, high), high.grid()) if plane else graph.read(high),
        graph.weight(f"{name}.analysis", codes[..., None] if plane else codes, scale, 0),
        graph.bias(f"{name}.analysis_bias", layer.analysis_bias.detach().numpy(), high.grid(), scale),
    ]
    edge = graph.node("Conv", operands, f"{name}/reanalysis_conv", strides=[layer.stride, 1] if plane else [layer.stride])
    assert features.sequences is not None
    sizes = (features.sequences, features.frames // features.sequences)
    reanalysed = write_plane(graph, edge, f"{name}/reanalysis", features.channels, sizes, layer.reanalysis_quantizer, plane)
    edge = graph.node("Sub", [graph.read(features), graph.read(reanalysed)], f"{name}/residue_sub")
    residue = graph.write(edge, f"{name}/residue", features.channels, features.frames, layer.residue_quantizer)
    residue = replace(residue, sequences=features.sequences)
    step = FixedQuantizer(float(np.float32(high.grid() / BYTE)))
    if layer.correction_weight is None:
        codes, scale = layer.weight_quantizer.codes(layer.weight).numpy(), layer.weight_quantizer.scale().numpy()
        operands = [upsampling_weight(graph, codes, scale, f"{name}/high.weight", residue)]
    else:
        codes = layer.correction_weight_quantizer.codes(layer.correction_weight).numpy()
        scale = layer.correction_weight_quantizer.scale().numpy()
        bias = graph.bias(f"{name}.correction_bias", layer.correction_bias.detach().numpy(), residue.grid(), scale)
        operands = [upsampling_weight(graph, codes, scale, f"{name}.correction_weight", residue), bias]
    correction = write_upsampling(graph, layer, residue, operands, f"{name}/correction", step)
    combined = combine_bytes(graph, [waveform_of(graph, value, f"{value.name}/waveform") for value in (high, correction)], name)
    return Value(combined, high.channels, high.frames, sequences=high.sequences)


def _high(graph: GraphBuilder, layer: ByteUpsampling, inputs: list[Value], name: str) -> Value:
    return emit_upsampling(graph, layer, inputs, f"{name}/high", layer.high_quantizer)
