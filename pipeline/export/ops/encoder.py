"""The input: int16 PCM to bytes by integer arithmetic, then the encoder's convolution."""

from __future__ import annotations

import numpy as np

from pipeline.export.graph import INT8, INT32, GraphBuilder, Value
from pipeline.quantization.splitter import INPUT_SCALE, ByteEncoder, SplitEncoder


def emit_split_encoder(graph: GraphBuilder, layer: SplitEncoder, inputs: list[Value], name: str) -> Value:
    """Splitter: u = x + 32768; h = u / 256; hi = h - 128; lo = u - 256 h - 128. u is never negative, so Div is a floor."""
    (pcm,) = inputs
    offset, byte, half = (graph.const(f"splitter/{value}", [value], np.int32) for value in (32768, 256, 128))
    unsigned = graph.node("Add", [graph.node("Cast", [pcm.name], "splitter/wide", to=INT32), offset], "splitter/unsigned")
    high = graph.node("Div", [unsigned, byte], "splitter/high")
    low = graph.node("Sub", [unsigned, graph.node("Mul", [high, byte], "splitter/high_shifted")], "splitter/low")
    codes = [
        _frames(graph, graph.node("Cast", [graph.node("Sub", [value, half], f"{value}_centred")], f"{value}_code", to=INT8), pcm.frames)
        for value in (high, low)
    ]
    split = Value(graph.node("Concat", codes, "splitter", axis=1), 2, pcm.frames, np.float32(INPUT_SCALE))
    return _convolve(graph, layer, split, name)


def emit_byte_encoder(graph: GraphBuilder, layer: ByteEncoder, inputs: list[Value], name: str) -> Value:
    """8-bit input: (x + 128) >> 8, saturated."""
    (pcm,) = inputs
    constants = {value: graph.const(f"input/{value}", [value], np.int32) for value in (32896, 256, 128, 127)}
    wide = graph.node("Cast", [pcm.name], "input/wide", to=INT32)
    unsigned = graph.node("Add", [wide, constants[32896]], "input/unsigned")
    byte = graph.node("Sub", [graph.node("Div", [unsigned, constants[256]], "input/byte"), constants[128]], "input/centred")
    code = graph.node("Cast", [graph.node("Min", [byte, constants[127]], "input/saturated")], "input", to=INT8)
    code = _frames(graph, code, pcm.frames)
    return _convolve(graph, layer, Value(code, 1, pcm.frames, np.float32(INPUT_SCALE)), name)


def _frames(graph: GraphBuilder, codes: str, samples: int) -> str:
    """[1, T] to [1, 1, T]. The integer arithmetic stands before it: on a tensor that ends in T the kernels are 30 times as fast."""
    return graph.node("Reshape", [codes, graph.const("pcm/shape", [1, 1, samples], np.int64)], f"{codes}/frames")


def _convolve(graph: GraphBuilder, layer: SplitEncoder | ByteEncoder, x: Value, name: str) -> Value:
    codes, scale = layer.weight_quantizer.codes(layer.weight).numpy(), layer.weight_quantizer.scale().numpy()
    bias = graph.bias(f"{name}.bias", layer.bias.detach().numpy(), x.grid(), scale)
    operands = [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0), bias]
    edge = graph.node("Conv", operands, f"{name}/conv", strides=[layer.stride])
    if layer.relu:
        edge = graph.node("Relu", [edge], f"{name}/relu")
    frames = (x.frames - layer.kernel_size) // layer.stride + 1
    return graph.write(edge, name, len(codes), frames, layer.output_quantizer)
