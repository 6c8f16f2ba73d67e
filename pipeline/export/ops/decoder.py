"""The output: decoder, residual quantization block and the int16 sum, or a plain 8-bit decoder."""

from __future__ import annotations

import numpy as np

from pipeline.export.graph import INT16, INT32, GraphBuilder, Value, layer_name
from pipeline.quantization.reconstructor import ByteDecoder, ReconstructingDecoder


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
    shape = graph.const("separated/shape", [1, 1, high.frames], np.int64)  # out of the body's layout, where int32 is slow
    waveforms = [graph.node("Reshape", [value.name, shape], f"{value.name}/waveform") for value in (high, correction)]
    wide = [graph.node("Cast", [waveform], f"{waveform}/wide", to=INT32) for waveform in waveforms]
    shifted = graph.node("Mul", [wide[0], graph.const("reconstructor/256", [256], np.int32)], f"{name}/high_shifted")
    total = graph.node("Add", [shifted, wide[1]], f"{name}/sum")
    top = graph.node("Min", [total, graph.const("reconstructor/32767", [32767], np.int32)], f"{name}/limited")
    # 256 * -128 - 128 is below the int16 range too
    both = graph.node("Max", [top, graph.const("reconstructor/-32768", [-32768], np.int32)], f"{name}/saturated")
    return Value(graph.node("Cast", [both], name, to=INT16), 1, high.frames)


def emit_byte_decoder(graph: GraphBuilder, layer: ByteDecoder, inputs: list[Value], name: str) -> Value:
    """8-bit waveform on its learned grid, requantized to int16 codes of full scale."""
    (features,) = inputs
    byte = _transposed(graph, layer, features, _synthesis(graph, layer, name), f"{name}/byte", layer.output_quantizer)
    graph.quantize(graph.read(byte), f"{name}/wide", np.float32(1 / 32768), 0, np.int16)
    shape = graph.const("separated/shape", [1, 1, byte.frames], np.int64)
    graph.node("Reshape", [f"{name}/wide", shape], name)
    return Value(name, 1, byte.frames)


def _synthesis(graph: GraphBuilder, layer: ReconstructingDecoder | ByteDecoder, name: str) -> str:
    flat = layer.weight.reshape(1, -1)
    codes = layer.weight_quantizer.codes(flat).view(layer.kernel_size, 1, -1).permute(2, 1, 0).numpy()  # [N, 1, K]
    return graph.weight(f"{layer_name(name)}.weight", codes, layer.weight_quantizer.scale().numpy(), 1)


def _transposed(
    graph: GraphBuilder, layer: ReconstructingDecoder | ByteDecoder, x: Value, weight: str, name: str, quantizer: object
) -> Value:
    edge = graph.node("ConvTranspose", [graph.read(x), weight], f"{name}_conv", strides=[layer.stride])
    return graph.write(edge, name, 1, (x.frames - 1) * layer.stride + layer.kernel_size, quantizer)
