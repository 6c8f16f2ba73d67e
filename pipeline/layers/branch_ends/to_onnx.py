"""The inputs and outputs of a network of two branches: splitter and first convolution, last one and reconstructor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export_specs.layout import Layout
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.branch_ends.quantized import (
    ByteConvolution,
    ByteUpsampling,
    InputConvolution,
    ReconstructingUpsampling,
    SplitConvolution,
)
from pipeline.layers.convolution.to_onnx import PLANE, as_plane, emit_upsampling, write_convolution
from pipeline.layers.decoder.residue import emit_parts, frame_kernel, phase_kernel
from pipeline.layers.decoder.to_onnx import channel_waveform, combine_channels, emit_waveforms, high_scale, waveform_of
from pipeline.layers.encoder.quantized import BYTE
from pipeline.layers.encoder.splitter import emit_rounder, emit_splitter
from pipeline.layers.encoder.to_onnx import digit_codes


def emit_split_convolution(graph: GraphBuilder, layer: SplitConvolution, inputs: list[Value], name: str) -> Value:
    """Splitter and convolution."""
    (codes,) = inputs
    weight = digit_codes(layer.weight, layer.weight_quantizer)
    return _convolve(graph, layer, emit_splitter(graph, codes, _input_scale(layer), f"{codes.name}/splitter"), weight, name)


def emit_byte_convolution(graph: GraphBuilder, layer: ByteConvolution, inputs: list[Value], name: str) -> Value:
    """8-bit input and convolution."""
    (codes,) = inputs
    weight = layer.weight_quantizer.codes(layer.weight).numpy()
    return _convolve(graph, layer, emit_rounder(graph, codes, _input_scale(layer), f"{codes.name}/input"), weight, name)


def _input_scale(layer: InputConvolution) -> np.float32:
    return np.float32(layer.input_range.grid()[0].item())


def _convolve(graph: GraphBuilder, layer: InputConvolution, x: Value, weight: np.ndarray, name: str) -> Value:
    assert layer.bias is not None
    return write_convolution(graph, layer, x, weight, layer.bias.detach().numpy(), name)


def emit_byte_upsampling(graph: GraphBuilder, layer: ByteUpsampling, inputs: list[Value], name: str) -> Value:
    """8-bit output on its learned grid, requantized to int16 codes of its full scale, [1, C, T]."""
    high = emit_upsampling(graph, layer, inputs, f"{name}/high", layer.high_quantizer)
    wide = graph.quantize(graph.read(high), f"{name}/wide", np.float32(high.grid() / BYTE), 0, np.int16)
    return Value(waveform_of(graph, replace(high, name=wide), name), high.channels, high.frames, sequences=high.sequences)


def emit_reconstructing_upsampling(graph: GraphBuilder, layer: ReconstructingUpsampling, inputs: list[Value], name: str) -> Value:
    """X = D(Y); delta = D(Y) - X; int16 = 256 * X + delta, saturated: [1, C, T]."""
    (features,) = inputs
    assert features.sequences is not None and layer.bias is not None
    if features.sequences == 1:
        kernel = frame_kernel(*_weights(layer), layer.stride)
        return replace(emit_waveforms(graph, layer, features, kernel, layer.kernel_size, name), sequences=1)
    return _emit_planes(graph, layer, features, features.sequences, name)


def _emit_planes(graph: GraphBuilder, layer: ReconstructingUpsampling, features: Value, bins: int, name: str) -> Value:
    """Over the height of a plane: a convolution for each phase of the stride. Side by side along the width, the rows of the phases lie in
    memory as they do one below the other."""
    frames = features.frames // bins
    phases = [phase_kernel(*_weights(layer), layer.stride, phase) for phase in range(layer.stride)]
    channels, ends = len(phases[0].codes), phases[0].taps - 1
    pads = [0, 0, ends, 0, 0, 0, ends, 0]
    padded = graph.pad(as_plane(graph, features), pads, features.zero_point, f"{name}/padded/{PLANE}")
    x = replace(features, name=padded)
    names = f"{name}/high", f"{name}/correction"
    made = []
    for phase, kernel in enumerate(phases):
        plane = replace(kernel, codes=kernel.codes[..., None])
        made.append(emit_parts(graph, x, plane, layer, f"{name}.{phase}", (f"{names[0]}/{phase}", f"{names[1]}/{phase}")))
    samples = ((bins - 1) * layer.stride + layer.kernel_size) * frames
    chains = []
    for part, codes in zip(names, zip(*made, strict=True), strict=True):
        beside = graph.concat(codes, f"{part}/phases/{PLANE}", axis=3)
        below = graph.reshape(beside, [1, channels, (bins + ends) * layer.stride, frames], f"{part}/{PLANE}", Layout.PLANE)
        chain = graph.reshape(below, [1, channels, (bins + ends) * layer.stride * frames], part, Layout.FRAMES)
        if (bins + ends) * layer.stride * frames != samples:
            chain = graph.slice(chain, [0], [samples], [2], f"{part}/cut")
        chains.append(Value(chain, channels, samples))

    def waveforms(channel: int) -> list[str]:
        return [channel_waveform(graph, chain, channel) for chain in chains]

    return Value(combine_channels(graph, channels, waveforms, high_scale(layer), name), channels, samples, sequences=samples // frames)


def _weights(layer: ReconstructingUpsampling) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes [O, I, k], their scale, the steps that make one of the high byte, and the bias [O]."""
    quantizer, bias = layer.weight_quantizer, layer.bias
    assert bias is not None
    codes = quantizer.codes(layer.weight).numpy()
    return codes, quantizer.scale().numpy(), quantizer.steps().numpy(), bias.detach().numpy()
