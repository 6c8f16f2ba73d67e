"""The layers of HTDemucs as float ONNX nodes: spectrograms are chains of frames [1, C, Fr T], planes [1, C, Fr, T] where convolutions are.

``graph`` is the builder of ``float_onnx.py``; its ``shapes`` are those of the layers, channels last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.layers.attention import float as sequence_layers
from pipeline.layers.convolution import float as convolutions
from pipeline.layers.elementwise import float as layers
from pipeline.layers.tables import float as tables


def _convolution(graph: Any, layer: convolutions.TimeConv | convolutions.SpectrumConv, inputs: list[str], name: str) -> str:
    bins, frames = _sizes(graph, inputs[0])
    weight = layer.weight if layer.weight.dim() == 4 else layer.weight[:, :, None]
    stride, padding, dilation = (_pair(value, other) for value, other in ((layer.stride, 1), (layer.padding, 0), (layer.dilation, 1)))
    height, width = (
        (size + 2 * padding[axis] - (weight.shape[2 + axis] - 1) * dilation[axis] - 1) // stride[axis] + 1
        for axis, size in enumerate((bins, frames))
    )
    plane = graph.reshape(inputs[0], [1, layer.in_channels, bins, frames], f"{name}.plane")
    operands = [plane, graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", layer.bias)]
    attributes = {"strides": stride, "pads": padding * 2, "dilations": dilation, "kernel_shape": list(weight.shape[2:])}
    made = graph.add("Conv", operands, f"{name}.conv", **attributes)
    return str(graph.reshape(made, [1, len(weight), height * width], name))


def _upsampling(graph: Any, layer: convolutions.TimeUpsampling | convolutions.SpectrumUpsampling, inputs: list[str], name: str) -> str:
    spectral = layer.weight.dim() == 4
    bins, frames = _sizes(graph, inputs[0])
    sizes = [bins, frames] if spectral else [frames, 1]
    plane = graph.reshape(inputs[0], [1, layer.in_channels, *sizes], f"{name}.plane")
    weight = layer.weight if spectral else layer.weight[..., None]
    operands = [plane, graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", layer.bias)]
    kernel, stride = int(layer.kernel_size[0]), int(layer.stride[0])
    made = graph.add("ConvTranspose", operands, f"{name}.conv", strides=[stride, 1], kernel_shape=[kernel, 1])
    return str(graph.reshape(made, [1, layer.out_channels, ((sizes[0] - 1) * stride + kernel) * sizes[1]], name))


def _activation(graph: Any, layer: layers.Activation, inputs: list[str], name: str) -> str:
    if layer.activation == "sigmoid":
        return str(graph.add("Sigmoid", inputs, name))
    scaled = graph.add("Mul", [inputs[0], graph.constant("gelu.root", np.full((1, 1, 1), 1 / math.sqrt(2), np.float32))], f"{name}.scaled")
    error = graph.add("Erf", [scaled], f"{name}.erf")
    part = graph.add("Add", [error, graph.constant("gelu.one", np.ones((1, 1, 1), np.float32))], f"{name}.part")
    half = graph.add("Mul", [part, graph.constant("gelu.half", np.full((1, 1, 1), 0.5, np.float32))], f"{name}.half")
    return str(graph.add("Mul", [inputs[0], half], name))


def _sequences_norm(graph: Any, layer: layers.SequencesNorm, inputs: list[str], name: str) -> str:
    bins, frames = _sizes(graph, inputs[0])
    channels = len(layer.gamma)
    plane = graph.reshape(inputs[0], [1, channels, bins, frames], f"{name}.plane")
    mean = graph.add("ReduceMean", [plane], f"{name}.mean", axes=[1, 3], keepdims=1)
    centred = graph.add("Sub", [plane, mean], f"{name}.centred")
    variance = graph.add(
        "ReduceMean", [graph.add("Mul", [centred, centred], f"{name}.squares")], f"{name}.variance", axes=[1, 3], keepdims=1
    )
    eps = graph.constant(f"{name}.eps", np.full((1, 1, 1, 1), layer.eps, np.float32))
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, eps], f"{name}.stable")], f"{name}.deviation")
    return str(graph.reshape(graph.add("Div", [centred, deviation], f"{name}.normed"), [1, channels, bins * frames], name))


def _pad(graph: Any, layer: convolutions.PadToStride, inputs: list[str], name: str) -> str:
    amount = -_sizes(graph, inputs[0])[1] % layer.stride
    if not amount:
        return inputs[0]
    return str(graph.add("Pad", [inputs[0], graph.constant(f"{name}.pads", np.array([0, 0, 0, 0, 0, amount]))], name))


def _crop(graph: Any, layer: convolutions.Crop, inputs: list[str], name: str) -> str:
    shape, like = graph.shapes[inputs[0]], graph.shapes[inputs[1]]
    row = shape[2] if len(shape) == 4 else 1
    return str(graph.slice(inputs[0], 2, layer.start * row, (layer.start + like[1]) * row, name))


def _nothing(_: Any, __: nn.Module, inputs: list[str], ___: str) -> str:
    return inputs[0]


def _table(graph: Any, layer: tables.Table, inputs: list[str], name: str) -> str:
    bins, frames = _sizes(graph, inputs[0])
    with torch.no_grad():
        rows = layer.rows(bins, frames).expand(bins, frames, -1).flatten(0, 1).T[None]
    return str(graph.add("Add", [inputs[0], graph.constant(f"{name}.table", rows)], name))


def _cross_heads(graph: Any, layer: sequence_layers.CrossHeads, inputs: list[str], name: str) -> str:
    rows = [graph.add("Transpose", [source], f"{name}.rows{place}", perm=[0, 2, 1]) for place, source in enumerate(inputs)]
    channels = graph.shapes[inputs[0]][2]
    width = channels // layer.heads
    outputs = []
    for head in range(layer.heads):
        starts = {"q": (rows[0], head * width), "k": (rows[1], head * width), "v": (rows[1], channels + head * width)}
        query, key, value = (graph.slice(part, 2, start, start + width, f"{name}.{kind}{head}") for kind, (part, start) in starts.items())
        turned = graph.add("Transpose", [key], f"{name}.turned{head}", perm=[0, 2, 1])
        weights = graph.add("Softmax", [graph.add("MatMul", [query, turned], f"{name}.logits{head}")], f"{name}.weights{head}", axis=-1)
        outputs.append(graph.add("MatMul", [weights, value], f"{name}.output{head}"))
    joined = graph.add("Concat", outputs, f"{name}.joined", axis=2)
    return str(graph.add("Transpose", [joined], name, perm=[0, 2, 1]))


def _pair(value: Any, other: int) -> list[int]:
    return [other, int(value[0])] if len(value) == 1 else [int(value[0]), int(value[1])]


def _sizes(graph: Any, name: str) -> tuple[int, int]:
    """Bins and frames of a tensor; a waveform has one bin."""
    shape = graph.shapes[name]
    return (shape[1], shape[2]) if len(shape) == 4 else (1, shape[1])


FLOAT_PLANES: dict[type[nn.Module], Callable[..., str]] = {
    **dict.fromkeys(
        (convolutions.TimeConv, convolutions.SpectrumConv, convolutions.FirstTimeConv, convolutions.FirstSpectrumConv), _convolution
    ),
    **dict.fromkeys(
        (
            convolutions.TimeUpsampling,
            convolutions.SpectrumUpsampling,
            convolutions.LastTimeUpsampling,
            convolutions.LastSpectrumUpsampling,
        ),
        _upsampling,
    ),
    **dict.fromkeys((tables.FrequencyEmbedding, tables.BinPositions, tables.TimePositions, tables.LinePositions), _table),
    layers.Activation: _activation,
    layers.SequencesNorm: _sequences_norm,
    convolutions.PadToStride: _pad,
    convolutions.Crop: _crop,
    convolutions.JoinBins: _nothing,
    convolutions.SplitBins: _nothing,
    sequence_layers.CrossHeads: _cross_heads,
}
