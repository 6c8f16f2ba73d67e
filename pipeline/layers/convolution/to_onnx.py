"""Convolutions over planes and over time as ONNX nodes.

A spectrogram is a chain of frames [1, C, Fr * T], frequency after frequency; two-dimensional convolutions see it as [1, C, Fr, T].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export_specs.layout import Layout
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.convolution.quantized import Convolution, Upsampling

PLANE = "plane"  # last part of the names of tensors [1, C, Fr, T]; their chains have the names without it


def emit_convolution(graph: GraphBuilder, layer: Convolution, inputs: list[Value], name: str) -> Value:
    """Conv of a plane, or of one sequence over time."""
    (x,) = inputs
    assert layer.bias is not None
    return write_convolution(graph, layer, x, layer.weight_quantizer.codes(layer.weight).numpy(), layer.bias.detach().numpy(), name)


def write_convolution(graph: GraphBuilder, layer: Convolution, x: Value, codes: np.ndarray, bias: np.ndarray, name: str) -> Value:
    """Conv with int8 weights ``codes`` and a float bias that is quantized here."""
    assert x.sequences is not None
    scale = layer.weight_quantizer.scale().numpy()
    sizes = (x.sequences, x.frames // x.sequences)
    height, width = (
        (size + 2 * layer.padding[axis] - (layer.kernel_size[axis] - 1) * layer.dilation[axis] - 1) // layer.stride[axis] + 1
        for axis, size in enumerate(sizes)
    )
    plane = x.sequences > 1
    axes = slice(None) if plane else slice(1, None)
    source = graph.dequantize(as_plane(graph, x), x.grid(), x.zero_point) if plane else graph.read(x)
    operands = [source, graph.weight(f"{name}.weight", codes if plane else codes[:, :, 0], scale, 0)]
    operands.append(graph.bias(f"{name}.bias", bias, x.grid(), scale))
    edge = graph.node(
        "Conv", operands, f"{name}/conv", strides=layer.stride[axes], dilations=layer.dilation[axes], pads=layer.padding[axes] * 2
    )
    return write_plane(graph, edge, name, len(codes), (height, width), layer.output_quantizer, plane)


def as_plane(graph: GraphBuilder, x: Value) -> str:
    """The codes of a chain as [1, C, Fr, T]; those that a convolution has just made are there already."""
    assert x.sequences is not None
    name = f"{x.name}/{PLANE}"
    if name not in graph.made:
        graph.reshape(x.name, [1, x.channels, x.sequences, x.frames // x.sequences], name, Layout.PLANE)
    return name


def write_plane(graph: GraphBuilder, edge: str, name: str, channels: int, sizes: tuple[int, int], quantizer: object, plane: bool) -> Value:
    """Quantize a float edge [1, C, height, width], or [1, C, width], and make it a chain."""
    frames = sizes[0] * sizes[1]
    written = graph.write(edge, f"{name}/{PLANE}" if plane else name, channels, frames, quantizer)
    if plane:
        graph.reshape(written.name, [1, channels, frames], name, Layout.FRAMES)
    return replace(written, name=name, sequences=sizes[0])


def emit_upsampling(graph: GraphBuilder, layer: Upsampling, inputs: list[Value], name: str, quantizer: object = None) -> Value:
    """ConvTranspose over the frequencies of a plane, or over time; on the layer's own output grid unless another is given."""
    (x,) = inputs
    codes, scale = layer.weight_quantizer.codes(layer.weight).numpy(), layer.weight_quantizer.scale().numpy()
    assert x.sequences is not None and layer.bias is not None
    plane = x.sequences > 1
    turned = codes.transpose(1, 0, 2)  # [I, O, k], of a plane [I, O, k, 1]
    weight = graph.weight(f"{name}.weight", turned[..., None] if plane else turned, scale, 1)
    bias = graph.bias(f"{name}.bias", layer.bias.detach().numpy(), x.grid(), scale)
    source = graph.dequantize(as_plane(graph, x), x.grid(), x.zero_point) if plane else graph.read(x)
    edge = graph.node("ConvTranspose", [source, weight, bias], f"{name}/conv", strides=[layer.stride, 1] if plane else [layer.stride])
    bins, frames = (x.sequences, x.frames // x.sequences) if plane else (1, x.frames)
    longer = ((bins if plane else frames) - 1) * layer.stride + layer.kernel_size
    quantizer = quantizer or layer.output_quantizer
    return write_plane(graph, edge, name, len(layer.weight), (longer, frames) if plane else (1, longer), quantizer, plane)
