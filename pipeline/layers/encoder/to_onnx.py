"""The input: int16 PCM to digits by integer arithmetic, then the encoder's convolution."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from export_specs.layout import Layout
from pipeline.export.qdq_graph import INT8, INT32, GraphBuilder, Value
from pipeline.layers.encoder.quantized import HIGH_COPIES, INPUT_SCALE, ByteEncoder, QuantizedEncoder, SplitEncoder, digit_weights
from pipeline.layers.sources import slice_channels
from pipeline.quantization.grid import WeightQuantizer


def emit_split_encoder(graph: GraphBuilder, layer: SplitEncoder, inputs: list[Value], name: str) -> Value:
    """Splitter and convolution."""
    (pcm,) = inputs
    codes = emit_splitter(graph, pcm, np.float32(INPUT_SCALE), "splitter")
    return _convolve(graph, layer, codes, digit_codes(layer.weight, layer.weight_quantizer), name)


def digit_codes(weight: Tensor, quantizer: WeightQuantizer) -> np.ndarray:
    """int8 weights [O, D * I, ...] of what :func:`emit_splitter` makes: of the high byte's copies, the middle and the low digit."""
    return np.concatenate([quantizer.codes(part).numpy() for part in digit_weights(weight, quantizer)], axis=1)


def emit_splitter(graph: GraphBuilder, pcm: Value, scale: np.float32, name: str) -> Value:
    """int16 to its digits (:func:`pipeline.layers.encoder.quantized.split`): first HIGH_COPIES times the high ones of all channels.

    With u = x + 32768, which is never negative, so that Div is a floor: n = (u + 8) / 16 is the sample in nibbles, low = u - 16 n;
    h = min((n + 8) / 16, 255), high = h - 128 and middle = n - 16 h.
    """
    offset, nibble, half, last, byte = (graph.const(f"splitter/{value}", [value], np.int32) for value in (32768, 16, 8, 255, 128))

    def floor_of_nibble(value: str, part: str) -> str:
        return graph.node("Div", [graph.node("Add", [value, half], f"{name}/{part}_rounded"), nibble], f"{name}/{part}")

    def rest(value: str, whole: str, part: str) -> str:
        return graph.node("Sub", [value, graph.node("Mul", [whole, nibble], f"{name}/{part}_less")], f"{name}/{part}")

    unsigned = graph.node("Add", [graph.node("Cast", [_planes(graph, pcm)], f"{name}/wide", to=INT32), offset], f"{name}/unsigned")
    nibbles = floor_of_nibble(unsigned, "nibbles")
    byte_code = graph.node("Min", [floor_of_nibble(nibbles, "bytes"), last], f"{name}/held")
    high = graph.node("Sub", [byte_code, byte], f"{name}/high")
    digits = [high, rest(nibbles, byte_code, "middle"), rest(unsigned, nibbles, "low")]
    frames = [_frames(graph, graph.node("Cast", [digit], f"{digit}_code", to=INT8), pcm) for digit in digits]
    joined = [*frames[0] * HIGH_COPIES, *frames[1], *frames[2]]
    return Value(graph.concat(joined, name, axis=1), len(joined), pcm.frames, scale, sequences=pcm.sequences)


def emit_byte_encoder(graph: GraphBuilder, layer: ByteEncoder, inputs: list[Value], name: str) -> Value:
    """8-bit input and convolution."""
    (pcm,) = inputs
    codes = layer.weight_quantizer.codes(layer.weight).numpy()
    return _convolve(graph, layer, emit_rounder(graph, pcm, np.float32(INPUT_SCALE), "input"), codes, name)


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
    return [graph.reshape(channel, [1, 1, pcm.frames], f"{channel}/frames", Layout.FRAMES) for channel in channels]


def _convolve(graph: GraphBuilder, layer: QuantizedEncoder, x: Value, codes: np.ndarray, name: str) -> Value:
    assert isinstance(layer.weight_quantizer, WeightQuantizer)
    scale = layer.weight_quantizer.scale().numpy()
    edge = graph.node("Conv", [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0)], f"{name}/conv", strides=[layer.stride])
    if layer.relu:
        edge = graph.node("Relu", [edge], f"{name}/relu")
    frames = (x.frames - layer.kernel_size) // layer.stride + 1
    return graph.write(edge, name, len(codes), frames, layer.output_quantizer)
