"""Conv of one group -> CONV_2D; of as many groups as channels -> DEPTHWISE_CONV_2D.

An encoder (kernel m * stride, no padding, whole frames) is written as a convolution of m taps over frames of ``stride`` samples: the input
[1, T, 1, I] already lies in memory as [1, T / stride, 1, stride * I], so a RESHAPE is all it takes, and the sums are the same.
Measured (24,000 samples, 2 -> 128 channels, kernel 32, stride 16, XNNPACK, 1 thread): 130 us as a strided CONV_2D, 38 us over frames.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from pipeline.convert.builtin_operators import CONV_2D, DEPTHWISE_CONV_2D, PAD, RESHAPE
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.ops.convolution import Window, bias_tensor, padded_input, read_window, static_weight, weight_operand
from pipeline.convert.ops.depthwise_conv import lower_depthwise_conv
from pipeline.convert.ops.plane_conv import is_plane, lower_plane_conv


@lowers("Conv", emits=(CONV_2D, DEPTHWISE_CONV_2D, PAD, RESHAPE))
def lower_conv(lowering: Lowering, node: NodeProto) -> None:
    """Lower a two-dimensional int8 Conv, or a one-dimensional one with its optional Relu; the kernel [O, I, k] becomes [O, k, 1, I]."""
    if is_plane(lowering, node):
        lower_plane_conv(lowering, node)
        return
    groups = int(lowering.graph.attributes(node).get("group", 1))
    if groups != 1:
        lower_depthwise_conv(lowering, node, groups)
        return
    source = lowering.dequantized(node, 0)
    weight = weight_operand(lowering, node, channel_axis=0)
    result = lowering.quantized(node, fuse_relu=True)
    value = static_weight(lowering, node, weight)
    channels = value.shape[0]
    window = read_window(lowering, node, value.shape[2])
    stride = window.stride
    if _is_framed(window, lowering.graph.shape(source.name)[2]):
        inputs, padding, stride = _frames(lowering, node, source, stride), schema.Padding.VALID, 1
        value = _frame_kernel(value, window.stride)
    else:
        inputs, padding = padded_input(lowering, node, source, window)
        value = value.transpose(0, 2, 1)[:, :, None, :]
    grid = weight.grid.expanded(channels)
    kernel = lowering.derived(("conv", weight.name, value.shape), lambda: lowering.constant(weight.name, value, grid, 0))
    bias = bias_tensor(lowering, node, source, weight, channels)
    lowering.emit(
        node,
        CONV_2D,
        [inputs, kernel, bias],
        [lowering.tensor(result.name)],
        padding=padding,
        strideH=stride,
        strideW=1,
        dilationHFactor=window.dilation,
        dilationWFactor=1,
        fusedActivationFunction=result.activation,
    )


def _is_framed(window: Window, time: int) -> bool:
    plain = window.dilation == 1 and window.before == window.after == 0
    return plain and window.stride > 1 and window.kernel % window.stride == 0 and time % window.stride == 0


def _frames(lowering: Lowering, node: NodeProto, source: Operand, stride: int) -> int:
    """The input seen as frames [1, T / stride, 1, stride * I]; encoders that share an input share it."""

    def make() -> int:
        batch, time, _, channels = lowering.shape(source.name)
        shape = np.array((batch, time // stride, 1, stride * channels), np.int32)
        name, grid = f"{source.name}/frames_{stride}", source.grid
        frames = lowering.builder.tensor(name, shape.tolist(), source.dtype, grid.scales(), grid.zero_points())
        target = lowering.constant(f"{name}/shape", shape)
        lowering.emit(node, RESHAPE, [lowering.tensor(source.name), target], [frames], newShape=shape)
        return frames

    return lowering.derived(("frames", source.name, stride), make)


def _frame_kernel(value: np.ndarray, stride: int) -> np.ndarray:
    """[O, I, m * stride] -> [O, m, 1, stride * I]."""
    outputs, inputs, taps = value.shape
    return value.reshape(outputs, inputs, taps // stride, stride).transpose(0, 2, 3, 1).reshape(outputs, taps // stride, 1, stride * inputs)
