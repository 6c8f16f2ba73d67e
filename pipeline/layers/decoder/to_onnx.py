"""The output: decoder, residual quantization block and the int16 sum, or a plain 8-bit decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.export.qdq_graph import INT16, INT32, GraphBuilder, Value, layer_name
from pipeline.layers.decoder.quantized import ByteDecoder, QuantizedDecoder, ReconstructingDecoder
from pipeline.layers.decoder.residue import Kernel, Reconstructor, emit_parts, frame_kernel
from pipeline.layers.encoder.quantized import BYTE


def emit_reconstructing_decoder(graph: GraphBuilder, layer: ReconstructingDecoder, inputs: list[Value], name: str) -> Value:
    """X = D(Y); delta = D(Y) - X; int16 = 256 * X + delta, saturated."""
    (features,) = inputs
    quantizer = layer.weight_quantizer
    scale, steps = quantizer.scale().numpy(), quantizer.steps().numpy()
    kernel = frame_kernel(_codes(layer).transpose(1, 0, 2), scale, steps, np.zeros(layer.audio_channels), layer.stride)
    return emit_waveforms(graph, layer, features, kernel, layer.kernel_size, name)


def emit_waveforms(graph: GraphBuilder, layer: Reconstructor, features: Value, kernel: Kernel, size: int, name: str) -> Value:
    """int16 [1, C, T] of a transposed convolution over time, given over frames of ``stride`` samples; ``size`` of its own kernel."""
    ends = kernel.taps - 1
    padded = Value(
        graph.pad(features.name, [0, 0, ends, 0, 0, ends], features.zero_point, f"{name}/padded"),
        features.channels,
        features.frames + 2 * ends,
        features.scale,
        features.zero_point,
    )
    parts = emit_parts(graph, padded, kernel, layer, layer_name(name), (f"{name}/high", f"{name}/correction"))
    samples, stride = (features.frames - 1) * layer.stride + size, layer.stride
    channels = len(kernel.codes) // stride

    def waveforms(channel: int) -> list[str]:
        framed = list(parts)
        if channels > 1:
            bounds = [channel * stride], [(channel + 1) * stride], [1]
            framed = [graph.slice(part, *bounds, f"{part}/channel_{channel}") for part in parts]
        return [_unframed(graph, part, stride, features.frames + ends, samples) for part in framed]

    apart = [waveforms(channel) for channel in range(channels)]  # what the corrections are computed of is large: they come first
    return Value(combine_channels(graph, channels, apart.__getitem__, high_scale(layer), name), channels, samples)


def _unframed(graph: GraphBuilder, frames: str, stride: int, count: int, samples: int) -> str:
    """[1, stride, F] to [1, 1, T] out of the body's layout; the last frame may go beyond T."""
    rows = graph.node("Transpose", [frames], f"{frames}/rows", perm=[0, 2, 1])
    waveform = graph.reshape(rows, [1, 1, count * stride], f"{frames}/waveform")
    return waveform if count * stride == samples else graph.slice(waveform, [0], [samples], [2], f"{frames}/cut")


def high_scale(layer: Reconstructor) -> np.float32:
    """The scale of the high byte."""
    return np.float32(layer.high_quantizer.grid()[0].item())


def combine_channels(graph: GraphBuilder, channels: int, waveforms: Callable[[int], Sequence[str]], scale: np.float32, name: str) -> str:
    """int16 [1, C, T] of what ``waveforms`` makes for a channel, [1, 1, T] of the high byte and of the correction.

    Each channel is finished before the next one is begun: of what int32 takes, one channel's share is alive at a time.
    """
    if channels == 1:
        return combine_bytes(graph, waveforms(0), scale, name)
    finished = [combine_bytes(graph, waveforms(channel), scale, f"{name}/channel_{channel}") for channel in range(channels)]
    return graph.concat(finished, name, axis=1)


def combine_bytes(graph: GraphBuilder, waveforms: Sequence[str], scale: np.float32, name: str) -> str:
    """int16 codes 256 * high + correction, saturated, of two int8 waveforms; ``scale``: of the high one.

    In int32, which CPUs do fastest, or as a quantized int16 sum, which is what NPUs take (``GraphBuilder.narrow_ends``): all its ratios of
    scales are powers of two, so that it is exact.
    """
    if graph.narrow_ends:
        return _combine_narrowly(graph, waveforms, scale, name)
    wide = [graph.node("Cast", [waveform], f"{waveform}/wide", to=INT32) for waveform in waveforms]
    shifted = graph.node("Mul", [wide[0], graph.const("reconstructor/256", [256], np.int32)], f"{name}/high_shifted")
    total = graph.node("Add", [shifted, wide[1]], f"{name}/sum")
    top = graph.node("Min", [total, graph.const("reconstructor/32767", [32767], np.int32)], f"{name}/limited")
    # 256 * -128 - 128 is below the int16 range too
    both = graph.node("Max", [top, graph.const("reconstructor/-32768", [-32768], np.int32)], f"{name}/saturated")
    return graph.node("Cast", [both], name, to=INT16)


def _combine_narrowly(graph: GraphBuilder, waveforms: Sequence[str], scale: np.float32, name: str) -> str:
    step = np.float32(scale / BYTE)
    edges = []
    for waveform, grid in zip(waveforms, (scale, step), strict=True):
        wide = graph.quantize(graph.dequantize(waveform, grid), f"{waveform}/wide", step, 0, np.int16)
        edges.append(graph.dequantize(wide, step, dtype=np.int16))
    return graph.quantize(graph.node("Add", edges, f"{name}/sum"), name, step, 0, np.int16)


def emit_byte_decoder(graph: GraphBuilder, layer: ByteDecoder, inputs: list[Value], name: str) -> Value:
    """8-bit waveform on its learned grid, requantized to int16 codes of full scale."""
    (features,) = inputs
    weight = graph.weight(f"{layer_name(name)}.weight", _codes(layer), layer.weight_quantizer.scale().numpy(), 1)
    edge = graph.node("ConvTranspose", [graph.read(features), weight], f"{name}/byte_conv", strides=[layer.stride])
    samples = (features.frames - 1) * layer.stride + layer.kernel_size
    byte = graph.write(edge, f"{name}/byte", layer.audio_channels, samples, layer.output_quantizer)
    wide = graph.quantize(graph.read(byte), f"{name}/wide", np.float32(1 / 32768), 0, np.int16)
    return Value(waveform_of(graph, Value(wide, byte.channels, byte.frames), name), byte.channels, byte.frames)


def _codes(layer: QuantizedDecoder) -> np.ndarray:
    """int8 weights [N, A, K]."""
    rows = layer.weight_quantizer.codes(layer.rows()).view(layer.audio_channels, layer.kernel_size, -1)  # [A, K, N]
    codes: np.ndarray = rows.permute(2, 0, 1).numpy()
    return codes


def waveform_of(graph: GraphBuilder, value: Value, name: str) -> str:
    """[1, A, T] out of the body's layout, where int32 is slow and the channels of a sample lie side by side."""
    if value.channels == 1:
        return graph.reshape(value.name, [1, 1, value.frames], name)
    return graph.concat([channel_waveform(graph, value, channel) for channel in range(value.channels)], name, axis=1)


def channel_waveform(graph: GraphBuilder, value: Value, channel: int) -> str:
    """One channel as a waveform [1, 1, T]."""
    own = value.name
    if value.channels > 1:
        own = graph.slice(own, [channel], [channel + 1], [1], f"{own}/channel_{channel}")
    return graph.reshape(own, [1, 1, value.frames], f"{own}/waveform")
