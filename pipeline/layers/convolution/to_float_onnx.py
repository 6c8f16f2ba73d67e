"""Convolutions over planes and over time as float ONNX nodes: spectrograms are chains of frames [1, C, Fr T], planes [1, C, Fr, T] here."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from pipeline.export.float_graph import FloatGraph
from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling


def emit_float_convolution(graph: FloatGraph, layer: TimeConv | SpectrumConv, inputs: list[str], name: str) -> str:
    """Conv of a plane."""
    bins, frames = graph.sizes(inputs[0])
    weight = layer.weight if layer.weight.dim() == 4 else layer.weight[:, :, None]
    stride, padding, dilation = (_pair(value, other) for value, other in ((layer.stride, 1), (layer.padding, 0), (layer.dilation, 1)))
    height, width = (
        (size + 2 * padding[axis] - (weight.shape[2 + axis] - 1) * dilation[axis] - 1) // stride[axis] + 1
        for axis, size in enumerate((bins, frames))
    )
    plane = graph.reshape(inputs[0], [1, layer.in_channels, bins, frames], f"{name}.plane")
    operands = [plane, graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", cast(Tensor, layer.bias))]
    attributes = {"strides": stride, "pads": padding * 2, "dilations": dilation, "kernel_shape": list(weight.shape[2:])}
    made = graph.add("Conv", operands, f"{name}.conv", **attributes)
    return graph.reshape(made, [1, len(weight), height * width], name)


def emit_float_upsampling(graph: FloatGraph, layer: TimeUpsampling | SpectrumUpsampling, inputs: list[str], name: str) -> str:
    """ConvTranspose of a plane; over time its height is the time."""
    spectral = layer.weight.dim() == 4
    bins, frames = graph.sizes(inputs[0])
    sizes = [bins, frames] if spectral else [frames, 1]
    plane = graph.reshape(inputs[0], [1, layer.in_channels, *sizes], f"{name}.plane")
    weight = layer.weight if spectral else layer.weight[..., None]
    operands = [plane, graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", cast(Tensor, layer.bias))]
    kernel, stride = int(layer.kernel_size[0]), int(layer.stride[0])
    made = graph.add("ConvTranspose", operands, f"{name}.conv", strides=[stride, 1], kernel_shape=[kernel, 1])
    return graph.reshape(made, [1, layer.out_channels, ((sizes[0] - 1) * stride + kernel) * sizes[1]], name)


def _pair(value: Any, other: int) -> list[int]:
    return [other, int(value[0])] if len(value) == 1 else [int(value[0]), int(value[1])]
