"""The input: int16 PCM to bytes by integer arithmetic, then the encoder's convolution."""

from __future__ import annotations

import numpy as np

from pipeline.export.qdq_graph import INT8, INT32, GraphBuilder, Value
from pipeline.layers.encoder.quantized import INPUT_SCALE, ByteEncoder, QuantizedEncoder, SplitEncoder
from pipeline.layers.sources import slice_channels


def emit_split_encoder(graph: GraphBuilder, layer: SplitEncoder, inputs: list[Value], name: str) -> Value:
    """Splitter and convolution."""
    (pcm,) = inputs
    return _convolve(graph, layer, emit_splitter(graph, pcm, np.float32(INPUT_SCALE), "splitter"), name)


def emit_splitter(graph: GraphBuilder, pcm: Value, scale: np.float32, name: str) -> Value:
    """int16 to its two bytes: u = x + 32768; h = u / 256; hi = h - 128; lo = u - 256 h - 128. u is never negative, so Div is a floor."""
    offset, byte, half = (graph.const(f"splitter/{value}", [value], np.int32) for value in (32768, 256, 128))
    unsigned = graph.node("Add", [graph.node("Cast", [_planes(graph, pcm)], f"{name}/wide", to=INT32), offset], f"{name}/unsigned")
    high = graph.node("Div", [unsigned, byte], f"{name}/high")
    low = graph.node("Sub", [unsigned, graph.node("Mul", [high, byte], f"{name}/high_shifted")], f"{name}/low")
    frames = []
    for value in (high, low):
        code = graph.node("Cast", [graph.node("Sub", [value, half], f"{value}_centred")], f"{value}_code", to=INT8)
        frames += _frames(graph, code, pcm)
    return Value(graph.node("Concat", frames, name, axis=1), len(frames), pcm.frames, scale, sequences=pcm.sequences)


def emit_byte_encoder(graph: GraphBuilder, layer: ByteEncoder, inputs: list[Value], name: str) -> Value:
    """8-bit input and convolution."""
    (pcm,) = inputs
    return _convolve(graph, layer, emit_rounder(graph, pcm, np.float32(INPUT_SCALE), "input"), name)


def emit_rounder(graph: GraphBuilder, pcm: Value, scale: np.float32, name: str) -> Value:
    """int16 to one byte: (x + 128) >> 8, saturated."""
    constants = {value: graph.const(f"input/{value}", [value], np.int32) for value in (32896, 256, 128, 127)}
    wide = graph.node("Cast", [_planes(graph, pcm)], f"{name}/wide", to=INT32)
    unsigned = graph.node("Add", [wide, constants[32896]], f"{name}/unsigned")
    byte = graph.node("Sub", [graph.node("Div", [unsigned, constants[256]], f"{name}/byte"), constants[128]], f"{name}/centred")
    code = graph.node("Cast", [graph.node("Min", [byte, constants[127]], f"{name}/saturated")], name, to=INT8)
    frames = _frames(graph, code, pcm)
    joined = frames[0] if len(frames) == 1 else graph.node("Concat", frames, f"{name}/joined", axis=1)
    return Value(joined, len(frames), pcm.frames, scale, sequences=pcm.sequences)


def _planes(graph: GraphBuilder, pcm: Value) -> str:
    """PCM as [A, T] and a spectrogram as [A, Fr T], one channel after the other, where the integer arithmetic is: on a tensor that ends
    in T the kernels are 30 times as fast. Mono PCM is so from the start."""
    if pcm.channels == 1 and pcm.name == "pcm":
        return pcm.name
    return graph.reshape(pcm.name, [pcm.channels, pcm.frames], f"{pcm.name}/planes")


def _frames(graph: GraphBuilder, codes: str, pcm: Value) -> list[str]:
    """[A, T] to A tensors [1, 1, T]."""
    channels = [codes] if pcm.channels == 1 else slice_channels(graph, codes, 0, pcm.channels)
    return [graph.reshape(channel, [1, 1, pcm.frames], f"{channel}/frames") for channel in channels]


def _convolve(graph: GraphBuilder, layer: QuantizedEncoder, x: Value, name: str) -> Value:
    codes, scale = layer.weight_quantizer.codes(layer.weight).numpy(), layer.weight_quantizer.scale().numpy()
    bias = graph.bias(f"{name}.bias", layer.bias.detach().numpy(), x.grid(), scale)
    operands = [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0), bias]
    edge = graph.node("Conv", operands, f"{name}/conv", strides=[layer.stride])
    if layer.relu:
        edge = graph.node("Relu", [edge], f"{name}/relu")
    frames = (x.frames - layer.kernel_size) // layer.stride + 1
    return graph.write(edge, name, len(codes), frames, layer.output_quantizer)
