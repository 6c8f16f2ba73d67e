"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV, and the windows that AVERAGE_POOL_2D shares with them."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.package.c_int8.fixed_point import INT32_MAX, fixed_point_factor
from pipeline.package.c_int8.flatbuffer_reader import Array, Operator, Tensor
from pipeline.package.c_int8.lowering import Lowering, result_grid
from pipeline.package.c_int8.program import Constant, Parameters, Pointer

_LARGEST_DIFFERENCE = {"int8": 255, "int16": 32768}
_CHANNEL_AXIS = 3


def lower_conv_2d(lowering: Lowering, operator: Operator) -> None:
    """int8 by int8 with int32 biases, or int16 by int8 with int64 biases; the weights are constants."""
    types = lowering.types(
        operator,
        ("int8", "int8", "int8"),
        ("int8", "int8", "int32", "int8"),
        ("int16", "int8", "int16"),
        ("int16", "int8", "int64", "int16"),
    )
    x, kernel, *rest = operator.inputs
    assert x is not None and kernel is not None
    weights, output = lowering.value(operator, 1), operator.outputs[0]
    lowering.require(operator, weights.shape[3] == x.shape[3], "it has groups", "one group")
    bias = lowering.value(operator, 2) if rest and rest[0] is not None else np.zeros(weights.shape[0], np.int64)
    taps = weights.reshape(weights.shape[0], -1).astype(np.int64)
    largest = np.abs(taps).sum(1) * _LARGEST_DIFFERENCE[types[0]]
    if types[0] == "int8":
        lowering.require(operator, (largest + np.abs(bias)).max() <= INT32_MAX, "its sums may overflow int32", "fewer taps")
        bias = (bias.astype(np.int64) - x.zero_point * taps.sum(1)).astype(np.int32)
    else:
        lowering.require(operator, x.zero_point == output.zero_point == 0, "its int16 tensors have zero points", "zero points of 0")
    depth = _used(taps)
    parameters = _parameters(operator, window(operator, x, weights.shape[1:3], output, _dilated(operator)), x, kernel, 0, depth)
    kernel_name = "fq_conv_2d_s8" if types[0] == "int8" else "fq_conv_2d_s16"
    operands = (x, Constant.of(taps[:, :depth].astype(np.int8)), Constant.of(bias))
    lowering.emit(kernel_name, parameters, operands, output, scratch=4 * depth + 2 * taps.shape[1] * x.dtype.itemsize)


def _used(taps: Array) -> int:
    """How many columns of [O, h * w * C] are left without those at the end that are 0, in whole words where there are."""
    used = int(np.flatnonzero(taps.any(0)).max(initial=0)) + 1
    return min(-(-used // 4) * 4, int(taps.shape[1]))


def lower_depthwise_conv_2d(lowering: Lowering, operator: Operator) -> None:
    """int8, one filter a channel; filter and bias may be computed at run time."""
    lowering.types(operator, ("int8", "int8", "int8"), ("int8", "int8", "int32", "int8"))
    x, kernel, *rest = operator.inputs
    assert x is not None and kernel is not None
    output, channels = operator.outputs[0], x.shape[_CHANNEL_AXIS]
    lowering.require(operator, kernel.shape[3] == channels, f"{kernel.shape[3]} filters for {channels} channels", "one filter a channel")
    bias: Tensor | Constant = rest[0] if rest and rest[0] is not None else Constant.of(np.zeros(channels, np.int32))
    geometry = window(operator, x, kernel.shape[1:3], output, _dilated(operator))
    lowering.emit("fq_depthwise_conv_2d_s8", _parameters(operator, geometry, x, kernel, _CHANNEL_AXIS), (x, kernel, bias), output)


def lower_transpose_conv(lowering: Lowering, operator: Operator) -> None:
    """int8; the output shape and the weights are constants."""
    lowering.types(operator, ("int32", "int8", "int8", "int8"), ("int32", "int8", "int8", "int32", "int8"))
    _, kernel, x, *rest = operator.inputs
    assert x is not None and kernel is not None
    output = operator.outputs[0]
    weights = lowering.value(operator, 1)
    bias: Tensor | Constant = rest[0] if rest and rest[0] is not None else Constant.of(np.zeros(weights.shape[0], np.int32))
    # padding is counted on the output, as of the convolution that this is the transpose of
    geometry = window(operator, x, weights.shape[1:3], output, (1, 1), padded=output)
    lowering.emit("fq_transpose_conv_s8", _parameters(operator, geometry, x, kernel, 0), (x, kernel, bias), output)


def window(
    operator: Operator, x: Tensor, kernel: tuple[int, ...], output: Tensor, dilation: tuple[int, int], padded: Tensor | None = None
) -> Pointer:
    """``fq_window`` of ``kernel`` places over [N, H, W, C]."""
    strides = (operator.option("strideH", 1), operator.option("strideW", 1))
    shape, over = x.shape, (padded or x).shape
    same = operator.option("padding", schema.Padding.VALID) == schema.Padding.SAME
    pads = [_padding(over[axis + 1], kernel[axis], strides[axis], dilation[axis]) if same else 0 for axis in (0, 1)]
    return Pointer(
        Parameters.of(
            "fq_window",
            batches=shape[0],
            input_height=shape[1],
            input_width=shape[2],
            input_channels=shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            output_channels=output.shape[3],
            kernel_height=int(kernel[0]),
            kernel_width=int(kernel[1]),
            stride_height=strides[0],
            stride_width=strides[1],
            dilation_height=dilation[0],
            dilation_width=dilation[1],
            pad_top=pads[0],
            pad_left=pads[1],
        )
    )


def _padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    """What TFLite's SAME puts before an axis."""
    outputs = -(-size // stride)
    return max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def _dilated(operator: Operator) -> tuple[int, int]:
    return operator.option("dilationHFactor", 1), operator.option("dilationWFactor", 1)


def _parameters(operator: Operator, geometry: Pointer, x: Tensor, kernel: Tensor, axis: int, depth: int = 0) -> Parameters:
    multipliers, shifts = _factors(x, kernel.scales, operator.outputs[0], kernel.shape[axis])
    return Parameters.of(
        "fq_conv_2d",
        window=geometry,
        depth=depth,
        multipliers=Constant.of(multipliers.astype(np.int32)),
        shifts=Constant.of(shifts.astype(np.int8)),
        input_zero_point=x.zero_point,
        y=result_grid(operator),
    )


def _factors(x: Tensor, scales: Array, output: Tensor, channels: int) -> Array:
    """[2, C]: multipliers and shifts of s_x · s_w / s_y, formed in double."""
    every = np.broadcast_to(scales.astype(np.float64), channels)
    return np.array([fixed_point_factor(float(x.scale) * float(scale) / float(output.scale)) for scale in every], np.int64).T
