"""Padding and cropping along time or frequency."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from export_specs.foundation.errors import UserError
from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.quantized_layer import Rearrangement


class PadToStride(nn.Module):
    """Zeros behind a waveform [B, T, C], up to a multiple of ``stride``."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (0, 0, 0, -x.shape[1] % self.stride))


class Crop(nn.Module):
    """As many bins or samples as the second tensor has, [B, T, C] or [B, Fr, T, C], without the first ``start``."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return x[:, self.start : self.start + like.shape[1]]


class QuantizedPadToStride(Rearrangement):
    """Codes of 0 behind a waveform, up to a multiple of the stride."""

    def __init__(self, layer: PadToStride) -> None:
        super().__init__()
        self.layer, self.stride = layer, layer.stride

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = self.layer(x)
        return padded


class QuantizedCrop(Rearrangement):
    """As many bins or samples as the second tensor has, without the first ``start``."""

    def __init__(self, layer: Crop) -> None:
        super().__init__()
        self.layer, self.start = layer, layer.start

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        cropped: Tensor = self.layer(x, like)
        return cropped


def emit_pad_to_stride(graph: GraphBuilder, layer: QuantizedPadToStride, inputs: list[Value], name: str) -> Value:
    """Pad behind the last frame; nothing where the length fits."""
    (x,) = inputs
    amount = -x.frames % layer.stride
    if not amount:
        return x
    if x.scale is None:
        raise UserError(f"a waveform of {x.frames} samples is no multiple of the stride {layer.stride}: choose segment_samples that are")
    return replace(x, name=graph.pad(x.name, [0, 0, 0, 0, 0, amount], x.zero_point, name), frames=x.frames + amount)


def emit_crop(graph: GraphBuilder, layer: QuantizedCrop, inputs: list[Value], name: str) -> Value:
    """Slice of the chain."""
    x, like = inputs
    assert x.sequences is not None
    row = x.frames // x.sequences if x.sequences > 1 else 1
    start = layer.start * row
    graph.slice(x.name, [start], [start + like.frames // row * row], [2], name)
    return replace(x, name=name, frames=like.frames // row * row, sequences=like.sequences)


def emit_float_pad_to_stride(graph: FloatGraph, layer: PadToStride, inputs: list[str], name: str) -> str:
    """Pad behind the last frame; nothing where the length fits."""
    amount = -graph.sizes(inputs[0])[1] % layer.stride
    if not amount:
        return inputs[0]
    return graph.add("Pad", [inputs[0], graph.constant(f"{name}.pads", np.array([0, 0, 0, 0, 0, amount]))], name)


def emit_float_crop(graph: FloatGraph, layer: Crop, inputs: list[str], name: str) -> str:
    """Slice of the chain."""
    shape, like = graph.shapes[inputs[0]], graph.shapes[inputs[1]]
    row = shape[2] if len(shape) == 4 else 1
    return graph.slice(inputs[0], 2, layer.start * row, (layer.start + like[1]) * row, name)


PAD_TO_STRIDE = Layer(PadToStride, Twin(QuantizedPadToStride, emit_pad_to_stride), emit_float_pad_to_stride)
CROP = Layer(Crop, Twin(QuantizedCrop, emit_crop), emit_float_crop)
