"""Conv of one group -> CONV_2D; of as many groups as channels -> DEPTHWISE_CONV_2D.

An encoder (kernel m * stride, no padding, whole frames) is written as a convolution of m taps over frames of ``stride`` samples: the input
[1, T, 1, I] already lies in memory as [1, T / stride, 1, stride * I], so a RESHAPE is all it takes, and the sums are the same.
Measured (24,000 samples, 2 -> 128 channels, kernel 32, stride 16, XNNPACK, 1 thread): 130 us as a strided CONV_2D, 38 us over frames.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from pipeline.convert.builtin_operators import CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, PAD, RESHAPE, SLICE
from pipeline.convert.declaration import lowers
from pipeline.convert.framed import channels_to_frame, frame_stride
from pipeline.convert.graph import OnnxGraph
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.ops.convolution import bias_tensor, padded_input, read_window, static_weight, weight_operand
from pipeline.convert.ops.depthwise_conv import lower_depthwise_conv
from pipeline.convert.ops.plane_conv import is_plane, lower_plane_conv
from pipeline.convert.quantization import Quantization

CHANNEL_AXIS = 1


@lowers("Conv", emits=(CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, PAD, RESHAPE, SLICE))
def lower_conv(lowering: Lowering, node: NodeProto) -> None:
    """Lower a two-dimensional int8 Conv, or a one-dimensional one with its optional Relu; the kernel [O, I, k] becomes [O, k, 1, I]."""
    if is_plane(lowering, node):
        lower_plane_conv(lowering, node)
        return
    groups = int(lowering.graph.attributes(node).get("group", 1))
    source, weight = lowering.dequantized(node, 0), weight_operand(lowering, node, channel_axis=0)
    of_one_channel = lowering.graph.shape(source.name)[1] == 1  # a group a channel as well as one group
    if groups != 1 or (of_one_channel and weight.name not in lowering.graph.constants):
        lower_depthwise_conv(lowering, node, groups)
        return
    result = lowering.quantized(node, fuse_relu=True)
    value = static_weight(lowering, node, weight)
    channels = value.shape[0]
    window = read_window(lowering, node, value.shape[2])
    stride = window.stride
    parts = None
    if frame_stride(lowering.graph, node) is not None:
        parts = channels_to_frame(lowering.graph, source.name)
        inputs = _frames(lowering, node, source, source.name, stride) if parts is None else _joined(lowering, node, source, parts, stride)
        padding, stride = schema.Padding.VALID, 1
        value = _frame_kernel(value, window.stride, by_channel=parts is not None)
    else:
        inputs, padding = padded_input(lowering, node, source, window)
        value = value.transpose(0, 2, 1)[:, :, None, :]
    grid = weight.grid.expanded(channels)
    options = {
        "padding": padding,
        "strideH": stride,
        "strideW": 1,
        "dilationHFactor": window.dilation,
        "dilationWFactor": 1,
        "fusedActivationFunction": result.activation,
    }

    def convolve(reader: NodeProto, part: slice, made: int) -> None:
        key = ("conv", weight.name, value.shape, parts is None, part.start)
        part_grid = Quantization(grid.scale[part], grid.zero_point[part], grid.axis)
        kernel = lowering.derived(key, lambda: lowering.constant(weight.name, value[part], part_grid, 0))
        bias = bias_tensor(lowering, node, source, weight, channels, part)
        lowering.emit(reader, CONV_2D, [inputs, kernel, bias], [made], **options)

    if "parts-apart" in lowering.rewrites and _is_read_in_parts(lowering.graph, result.name):
        lowering.put_off[result.name] = convolve
        return
    convolve(node, slice(0, channels), lowering.tensor(result.name))


def _is_read_in_parts(graph: OnnxGraph, name: str) -> bool:
    """Whether only Slices of channels read a tensor."""
    readers = graph.consumers(name)
    sliced = all(reader.op_type == "Slice" and len(reader.input) == 4 for reader in readers)
    if name in graph.outputs or not readers or not sliced:
        return False
    axes = [graph.constants.get(reader.input[3], np.zeros(0)).reshape(-1).tolist() for reader in readers]
    return all(axis == [CHANNEL_AXIS] for axis in axes)


def _frames(lowering: Lowering, node: NodeProto, source: Operand, name: str, stride: int) -> int:
    """The tensor ``name`` on the grid of ``source`` seen as frames [1, T / stride, 1, stride * I]; what shares an input shares it."""

    def make() -> int:
        batch, time, _, channels = lowering.shape(name)
        shape = np.array((batch, time // stride, 1, stride * channels), np.int32)
        seen, grid = f"{name}/frames_{stride}", source.grid
        frames = lowering.builder.tensor(seen, shape.tolist(), source.dtype, grid.scales(), grid.zero_points())
        target = lowering.constant(f"{seen}/shape", shape)
        lowering.emit(node, RESHAPE, [lowering.tensor(name), target], [frames], newShape=shape)
        return frames

    return lowering.derived(("frames", name, stride), make)


def _joined(lowering: Lowering, node: NodeProto, source: Operand, parts: list[str], stride: int) -> int:
    """The frames of one-channel tensors side by side, [1, T / stride, 1, I * stride]; made once."""

    def make() -> int:
        frames = [_frames(lowering, node, source, part, stride) for part in parts]
        batch, time = lowering.shape(parts[0])[:2]
        shape, grid = (batch, time // stride, 1, stride * len(parts)), source.grid
        joined = lowering.builder.tensor(f"{source.name}/frames_{stride}", shape, source.dtype, grid.scales(), grid.zero_points())
        lowering.emit(node, CONCATENATION, frames, [joined], axis=3)
        return joined

    return lowering.derived(("joined frames", source.name, stride), make)


def _frame_kernel(value: np.ndarray, stride: int, by_channel: bool) -> np.ndarray:
    """[O, I, m * stride] -> [O, m, 1, stride * I], the values of a frame sample by sample, or one channel after the other."""
    outputs, inputs, taps = value.shape
    order = (0, 2, 1, 3) if by_channel else (0, 2, 3, 1)
    return value.reshape(outputs, inputs, taps // stride, stride).transpose(order).reshape(outputs, taps // stride, 1, stride * inputs)
