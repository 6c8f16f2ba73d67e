"""A dilated depthwise convolution as a plain one: folded into rows of d frames, frames t, t + d, t + 2 d … stand below each other.

[1, T, 1, C] is [1, T / d, d, C] in memory. Where d does not divide T, zeros of the grid stand behind, and what they give is cut off.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from pipeline.convert.builtin_operators import DEPTHWISE_CONV_2D, PAD, RESHAPE, SLICE
from pipeline.convert.lowering import Lowering, Operand, Result
from pipeline.convert.ops.convolution import Window


def lower_folded(lowering: Lowering, node: NodeProto, ends: tuple[Operand, Result], operands: tuple[int, int, int], window: Window) -> None:
    """Emit the convolution over rows. ``operands``: input, kernel and bias of the dilated one, the input padded unless that is SAME."""
    source, result = ends
    inputs, kernel, bias = operands
    dilation, out = window.dilation, lowering.tensor(result.name)
    batch, time, _, channels = lowering.builder.kind(inputs).shape
    frames = lowering.builder.kind(out).shape[1]
    same = frames == time
    rows = -(-time // dilation)

    def tensor(name: str, shape: tuple[int, ...], grid: Operand) -> int:
        return lowering.builder.tensor(f"{result.name}/{name}", shape, grid.dtype, grid.grid.scales(), grid.grid.zero_points())

    def reshaped(x: int, y: int) -> int:
        shape = np.array(lowering.builder.kind(y).shape, np.int32)
        lowering.emit(node, RESHAPE, [x, lowering.constant("shape", shape)], [y], newShape=shape)
        return y

    if rows * dilation != time:
        amounts = lowering.constant("amounts", np.array([[0, 0], [0, rows * dilation - time], [0, 0], [0, 0]], np.int32))
        filled = tensor("filled", (batch, rows * dilation, 1, channels), source)
        lowering.emit(node, PAD, [inputs, amounts], [filled])
        inputs = filled
    folded = reshaped(inputs, tensor("folded", (batch, rows, dilation, channels), source))
    made = rows if same else rows - window.kernel + 1
    convolved = tensor("rows", (batch, made, dilation, channels), result)
    lowering.emit(
        node,
        DEPTHWISE_CONV_2D,
        [folded, kernel, bias],
        [convolved],
        padding=schema.Padding.SAME if same else schema.Padding.VALID,
        strideH=1,
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        depthMultiplier=1,
        fusedActivationFunction=result.activation,
    )
    if made * dilation == frames:
        reshaped(convolved, out)
        return
    whole = reshaped(convolved, tensor("whole", (batch, made * dilation, 1, channels), result))
    begin = lowering.constant("begin", np.zeros(4, np.int32))
    size = lowering.constant("size", np.array([batch, frames, 1, channels], np.int32))
    lowering.emit(node, SLICE, [whole, begin, size], [out])
