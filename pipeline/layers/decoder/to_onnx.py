"""The output: decoder, residual quantization block and the int16 sum, or a plain 8-bit decoder."""

from __future__ import annotations

import numpy as np

from pipeline.export.qdq_graph import INT16, INT32, GraphBuilder, Value, layer_name
from pipeline.layers.decoder.quantized import ByteDecoder, QuantizedDecoder, ReconstructingDecoder
from pipeline.layers.sources import slice_channels

CONCAT_INPUTS = 10  # the most that TFLM joins at once


def emit_reconstructing_decoder(graph: GraphBuilder, layer: ReconstructingDecoder, inputs: list[Value], name: str) -> Value:
    """X = D(Y); U = Y - E~(X); delta = D~(U); int16 = 256 * X + delta, saturated."""
    (features,) = inputs
    weight = _synthesis(graph, layer, name)
    high = _transposed(graph, layer, features, weight, f"{name}/high", layer.high_quantizer)
    codes, scale = layer.analysis_quantizer.codes(layer.analysis).numpy(), layer.analysis_quantizer.scale().numpy()
    analysis = graph.weight(f"{layer_name(name)}.analysis", codes, scale, 0)
    edge = graph.node("Conv", [graph.read(high), analysis], f"{name}/reanalysis_conv", strides=[layer.stride])
    reanalysed = graph.write(edge, f"{name}/reanalysis", features.channels, features.frames, layer.reanalysis_quantizer)
    edge = graph.node("Sub", [graph.read(features), graph.read(reanalysed)], f"{name}/residue_sub")
    residue = graph.write(edge, f"{name}/residue", features.channels, features.frames, layer.residue_quantizer)
    correction = _transposed(graph, layer, residue, weight, f"{name}/correction", layer.correction_quantizer)
    waveforms = [waveform_of(graph, value, f"{value.name}/waveform") for value in (high, correction)]
    return Value(combine_bytes(graph, waveforms, name), high.channels, high.frames)


def combine_bytes(graph: GraphBuilder, waveforms: list[str], name: str) -> str:
    """int16 codes 256 * high + correction, saturated, of two int8 waveforms."""
    wide = [graph.node("Cast", [waveform], f"{waveform}/wide", to=INT32) for waveform in waveforms]
    shifted = graph.node("Mul", [wide[0], graph.const("reconstructor/256", [256], np.int32)], f"{name}/high_shifted")
    total = graph.node("Add", [shifted, wide[1]], f"{name}/sum")
    top = graph.node("Min", [total, graph.const("reconstructor/32767", [32767], np.int32)], f"{name}/limited")
    # 256 * -128 - 128 is below the int16 range too
    both = graph.node("Max", [top, graph.const("reconstructor/-32768", [-32768], np.int32)], f"{name}/saturated")
    return graph.node("Cast", [both], name, to=INT16)


def emit_byte_decoder(graph: GraphBuilder, layer: ByteDecoder, inputs: list[Value], name: str) -> Value:
    """8-bit waveform on its learned grid, requantized to int16 codes of full scale."""
    (features,) = inputs
    byte = _transposed(graph, layer, features, _synthesis(graph, layer, name), f"{name}/byte", layer.output_quantizer)
    wide = graph.quantize(graph.read(byte), f"{name}/wide", np.float32(1 / 32768), 0, np.int16)
    return Value(waveform_of(graph, Value(wide, byte.channels, byte.frames), name), byte.channels, byte.frames)


def waveform_of(graph: GraphBuilder, value: Value, name: str) -> str:
    """[1, A, T] out of the body's layout, where int32 is slow and the channels of a sample lie side by side."""
    shape = [1, 1, value.frames]
    if value.channels == 1:
        return graph.reshape(value.name, shape, name)
    channels = slice_channels(graph, value.name, 1, value.channels)
    waveforms = [graph.reshape(channel, shape, f"{channel}/waveform") for channel in channels]
    while len(waveforms) > CONCAT_INPUTS:
        groups = [waveforms[first : first + CONCAT_INPUTS] for first in range(0, len(waveforms), CONCAT_INPUTS)]
        waveforms = [graph.node("Concat", group, f"{group[0]}s", axis=1) for group in groups]
    return graph.node("Concat", waveforms, name, axis=1)


def _synthesis(graph: GraphBuilder, layer: QuantizedDecoder, name: str) -> str:
    rows = layer.weight_quantizer.codes(layer.rows()).view(layer.audio_channels, layer.kernel_size, -1)  # [A, K, N]
    codes = rows.permute(2, 0, 1).numpy()  # [N, A, K]
    return graph.weight(f"{layer_name(name)}.weight", codes, layer.weight_quantizer.scale().numpy(), 1)


def _transposed(graph: GraphBuilder, layer: QuantizedDecoder, x: Value, weight: str, name: str, quantizer: object) -> Value:
    edge = graph.node("ConvTranspose", [graph.read(x), weight], f"{name}_conv", strides=[layer.stride])
    return graph.write(edge, name, layer.audio_channels, (x.frames - 1) * layer.stride + layer.kernel_size, quantizer)
