"""ConvTranspose -> CONV_2D and RESHAPE where the kernel is a multiple of the stride, else TRANSPOSE_CONV.

With kernel m * stride every output frame of ``stride`` samples is a sum over m input frames, so it is a convolution of m taps with
stride * O channels, whose memory order already is [time, channel]. Both forms sum the same int32 products and requantize alike.
Measured (T = 1499, 128 -> 1 channels, kernel 32, stride 16, XNNPACK, 1 thread): 564 us as TRANSPOSE_CONV, 15 us as CONV_2D.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import CONCATENATION, CONV_2D, PAD, RESHAPE, TRANSPOSE_CONV
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering, Operand, Result
from pipeline.convert.ops.convolution import (
    PLAIN_WINDOW,
    Window,
    accumulator_grid,
    bias_tensor,
    pad_time,
    read_window,
    static_weight,
    weight_operand,
)
from pipeline.convert.ops.plane_conv import is_plane
from pipeline.convert.ops.plane_transpose_conv import lower_plane_transpose_conv
from pipeline.convert.quantization import Quantization


@lowers("ConvTranspose", emits=(CONV_2D, PAD, RESHAPE, CONCATENATION, TRANSPOSE_CONV))
def lower_conv_transpose(lowering: Lowering, node: NodeProto) -> None:
    """Lower an int8 ConvTranspose without padding, over time or a plane's height; the kernel is [I, O, k(, 1)] with scales along axis 1."""
    if is_plane(lowering, node):
        lower_plane_transpose_conv(lowering, node)
        return
    source = lowering.dequantized(node, 0)
    weight = weight_operand(lowering, node, channel_axis=1)
    result = lowering.quantized(node)
    value = static_weight(lowering, node, weight)
    window = read_window(lowering, node, value.shape[2])
    attributes = lowering.graph.attributes(node)
    plain = (window.before, window.after, window.dilation) == (0, 0, 1) and not any(attributes.get("output_padding", [0]))
    lowering.require(
        node, plain and attributes.get("group", 1) == 1, "pads, dilation, output_padding or groups", "a plain ConvTranspose and a Slice"
    )
    lowering.require(node, lowering.layout(result.name) is Layout.FRAMES, "its output is outside the body", "Reshape after it")
    if window.kernel % window.stride == 0:
        _as_convolution(lowering, node, source, weight, result, value, window)
    else:
        _as_transpose_conv(lowering, node, source, weight, result, value, window)


def _as_convolution(
    lowering: Lowering, node: NodeProto, source: Operand, weight: Operand, result: Result, value: np.ndarray, window: Window
) -> None:
    inputs_per_sample, outputs = value.shape[:2]
    taps, stride = window.kernel // window.stride, window.stride
    # [I, O, taps, stride] -> [stride, O, taps reversed, I] -> [stride * O, taps, 1, I]
    kernel = value.reshape(inputs_per_sample, outputs, taps, stride)[:, :, ::-1].transpose(3, 1, 2, 0)
    kernel = kernel.reshape(stride * outputs, taps, 1, inputs_per_sample)
    grid = Quantization(weight.grid.expanded(outputs).scale * stride, (0,) * (stride * outputs))
    filters = lowering.derived(("frames", weight.name), lambda: lowering.constant(f"{weight.name}/frames", kernel, grid, 0))
    bias = _frame_bias(lowering, node, source, weight, outputs, stride)
    padded = pad_time(lowering, node, source, taps - 1, taps - 1) if taps > 1 else lowering.tensor(source.name)
    batch, samples, _, _ = lowering.shape(result.name)
    frames = lowering.builder.tensor(
        f"{result.name}/frames",
        (batch, samples // stride, 1, stride * outputs),
        result.dtype,
        result.grid.scales(),
        result.grid.zero_points(),
    )
    lowering.emit(node, CONV_2D, [padded, filters, bias], [frames], **PLAIN_WINDOW)
    shape = np.array(lowering.shape(result.name), np.int32)
    target = lowering.constant(f"{result.name}/shape", shape)
    lowering.emit(node, RESHAPE, [frames, target], [lowering.tensor(result.name)], newShape=shape)


def _frame_bias(lowering: Lowering, node: NodeProto, source: Operand, weight: Operand, outputs: int, stride: int) -> int:
    value = np.zeros(outputs, np.int32)
    if len(node.input) > 2 and node.input[2]:
        bias = lowering.dequantized(node, 2)
        lowering.require(node, bias.name in lowering.graph.constants, "its bias is computed at run time", "make it an initializer")
        bias_tensor(lowering, node, source, weight, outputs)  # checks type, shape and scale
        value = lowering.graph.constants[bias.name]
    return lowering.constant(f"{weight.name}/frames_bias", np.tile(value, stride), accumulator_grid(outputs * stride))


def _as_transpose_conv(
    lowering: Lowering, node: NodeProto, source: Operand, weight: Operand, result: Result, value: np.ndarray, window: Window
) -> None:
    outputs = value.shape[1]
    grid = weight.grid.expanded(outputs)
    filters = lowering.derived(
        ("transpose", weight.name), lambda: lowering.constant(weight.name, value.transpose(1, 2, 0)[:, :, None, :], grid, 0)
    )
    shape = lowering.constant(f"{result.name}/shape", np.array(lowering.shape(result.name), np.int32))
    bias = bias_tensor(lowering, node, source, weight, outputs)
    inputs = [shape, filters, lowering.tensor(source.name), bias]
    options = {"padding": schema.Padding.VALID, "strideH": window.stride, "strideW": 1}
    lowering.emit(node, TRANSPOSE_CONV, inputs, [lowering.tensor(result.name)], **options)
