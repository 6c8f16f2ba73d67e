"""Convolutions whose kernel and input are whole numbers of strides: over frames of a stride each, they have stride 1.

A joint of one-channel tensors that such convolutions alone read, as the digits of samples are, is not made: each channel is seen as frames
[1, T / S, 1, S], and these are joined. Joining single values takes LiteRT 0.16 ms for 24,000 samples of 4 channels, joining frames 0.01 ms.
Exactness: bit for bit, the kernel's weights being put in the same order.
"""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.graph import OnnxGraph


def frame_stride(graph: OnnxGraph, node: NodeProto) -> int | None:
    """The stride of a one-dimensional Conv that is one over frames; None where it is none."""
    if node.op_type != "Conv" or len(node.input) < 2:
        return None
    attributes, dequantize = graph.attributes(node), [graph.producer(name) for name in node.input[:2]]
    if any(item is None or item.op_type != "DequantizeLinear" for item in dequantize):
        return None
    source, weight = (graph.shape(item.input[0]) for item in dequantize if item is not None)
    if len(source) != 3 or len(weight) != 3 or int(attributes.get("group", 1)) != 1:
        return None
    stride, plain = int(attributes.get("strides", [1])[0]), attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    plain = plain and not any(attributes.get("pads", [0, 0])) and int(attributes.get("dilations", [1])[0]) == 1
    return stride if plain and stride > 1 and weight[2] % stride == 0 and source[2] % stride == 0 else None


def channels_to_frame(graph: OnnxGraph, name: str) -> list[str] | None:
    """The one-channel tensors that a Concat joins to ``name``, if convolutions over frames of one stride alone read that; else None."""
    joint = graph.producer(name)
    if joint is None or joint.op_type != "Concat" or name in graph.outputs or int(graph.attributes(joint)["axis"]) != 1:
        return None
    if any(part in graph.constants or len(graph.shape(part)) != 3 or graph.shape(part)[1] != 1 for part in joint.input):
        return None
    readers = graph.consumers(name)
    if not readers or any(reader.op_type != "DequantizeLinear" for reader in readers):
        return None
    convolutions = [(conv, reader) for reader in readers for conv in graph.consumers(reader.output[0])]
    if any(conv.input[0] != reader.output[0] or list(conv.input).count(reader.output[0]) > 1 for conv, reader in convolutions):
        return None
    strides = {frame_stride(graph, conv) for conv, _ in convolutions}
    return list(joint.input) if len(strides) == 1 and None not in strides else None
