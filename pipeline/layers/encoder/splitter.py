"""int16 samples to int8 digits, as ONNX nodes: the splitter, and the rounding to one byte of the baseline.

The splitter is written in one of two ways, which make the same digits: in int32, which CPUs do fastest, or in int16 and int8 alone
(``GraphBuilder.narrow_ends``), which is what NPUs take.
"""

from __future__ import annotations

import numpy as np

from export_specs.layout import Layout
from pipeline.export.qdq_graph import INT8, INT32, GraphBuilder, Value
from pipeline.layers.encoder.quantized import BYTE, HIGH_COPIES, NIBBLE
from pipeline.layers.sources import slice_channels


def emit_splitter(graph: GraphBuilder, pcm: Value, scale: np.float32, name: str) -> Value:
    """int16 to its digits (:func:`pipeline.layers.encoder.quantized.split`): first HIGH_COPIES times the high ones of all channels.

    ``scale``: what a step of each digit is worth to the convolution that reads them, which has the digits' weights.
    """
    digits = _narrow_digits(graph, pcm, scale, name) if graph.narrow_ends else _digits(graph, pcm, name)
    frames = [_frames(graph, digit, pcm) for digit in digits]
    joined = [*frames[0] * HIGH_COPIES, *frames[1], *frames[2]]
    return Value(graph.concat(joined, name, axis=1), len(joined), pcm.frames, scale, sequences=pcm.sequences)


def _digits(graph: GraphBuilder, pcm: Value, name: str) -> list[str]:
    """High, middle and low in int32.

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
    return [graph.node("Cast", [digit], f"{digit}_code", to=INT8) for digit in digits]


def _narrow_digits(graph: GraphBuilder, pcm: Value, scale: np.float32, name: str) -> list[str]:
    """High, middle and low by quantized sums, differences and changes of grid.

    On the samples' grid of ``scale`` / 256, one 16 times as coarse and one 256 times as coarse the samples, nibbles and bytes have
    their codes as values. A quarter of the finer step is added before each rounding, so that halves are rounded up and no kernel meets a
    tie. The kernels' sums are exact here: all ratios of scales are powers of two. Saturation holds the high digit at 127.
    """
    step, of_nibbles = (np.float32(scale / size) for size in (BYTE, BYTE // NIBBLE))

    def int16(edge: str, part: str, grid: np.float32) -> str:
        return graph.dequantize(graph.quantize(edge, f"{name}/{part}", grid, 0, np.int16), grid, dtype=np.int16)

    def rounded(edge: str, grid: np.float32, part: str) -> str:
        quarter = graph.dequantize(graph.const(f"{name}/{part}_quarter", [1], np.int16), np.float32(grid / 4), dtype=np.int16)
        return int16(graph.node("Add", [edge, quarter], f"{name}/{part}_rounded"), part, np.float32(NIBBLE * grid))

    def digit(value: str, whole: str, part: str, grid: np.float32) -> str:
        """What is left of a value, as codes on the grid of ``scale``."""
        rest = int16(graph.node("Sub", [value, whole], f"{name}/{part}_left"), f"{name}/{part}_wide", grid)
        code = graph.dequantize(graph.quantize(rest, f"{name}/{part}", grid, 0), grid)
        factor = graph.dequantize(graph.const(f"{name}/{part}_factor", [1], np.int8), np.float32(scale / grid))
        return graph.quantize(graph.node("Mul", [code, factor], f"{name}/{part}_product"), f"{name}/{part}_code", scale, 0)

    samples = graph.dequantize(_planes(graph, pcm), step, dtype=np.int16)
    nibbles = rounded(samples, step, "nibbles")
    high = graph.quantize(rounded(nibbles, of_nibbles, "bytes"), f"{name}/high_code", scale, 0)
    bytes_held = int16(graph.dequantize(high, scale), "held", scale)
    return [high, digit(nibbles, bytes_held, "middle", of_nibbles), digit(samples, nibbles, "low", step)]


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
