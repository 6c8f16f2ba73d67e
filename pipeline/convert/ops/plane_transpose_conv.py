"""ConvTranspose over the height of a plane -> a CONV_2D for each phase of the stride, and CONCATENATION.

With kernel m * stride every output row is a sum over m input rows; rows of one phase are a convolution of m taps. The phases lie side by
side along the width, [N, H + m - 1, stride * W, O], which in memory is [N, (H + m - 1) * stride, W, O]. The sums are those of
TRANSPOSE_CONV.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import CONCATENATION, CONV_2D, RESHAPE
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.convolution import PLAIN_WINDOW, bias_tensor, static_weight, weight_operand
from pipeline.convert.ops.plane_conv import pad_plane


def lower_plane_transpose_conv(lowering: Lowering, node: NodeProto) -> None:
    """Lower a two-dimensional int8 ConvTranspose of kernel [I, O, m * stride, 1] with strides [stride, 1] and without padding."""
    source = lowering.dequantized(node, 0)
    weight = weight_operand(lowering, node, channel_axis=1, rank=4)
    result = lowering.quantized(node)
    value = static_weight(lowering, node, weight)
    attributes = lowering.graph.attributes(node)
    stride, across = attributes.get("strides", [1, 1])
    plain = not np.any(attributes.get("pads", [0])) and not np.any(attributes.get("output_padding", [0]))
    plain = plain and attributes.get("group", 1) == 1 and set(attributes.get("dilations", [1])) == {1}
    lowering.require(node, plain, "pads, dilation, output_padding or groups", "a plain ConvTranspose and a Slice")
    over_height = value.shape[2] % stride == 0 and (value.shape[3], across) == (1, 1)
    lowering.require(
        node,
        over_height,
        f"kernel {list(value.shape[2:])} with strides {[stride, across]}",
        "a kernel [m * stride, 1] with strides [stride, 1]",
    )
    outputs, taps = value.shape[1], value.shape[2] // stride
    grid = weight.grid.expanded(outputs)
    bias = bias_tensor(lowering, node, source, weight, outputs)
    padded = pad_plane(lowering, node, source, [[taps - 1, taps - 1], [0, 0]]) if taps > 1 else lowering.tensor(source.name)
    batch, height, width, _ = lowering.shape(result.name)
    scales = (result.grid.scales(), result.grid.zero_points())
    phases = []
    for phase in range(stride):
        kernel = np.ascontiguousarray(value[:, :, phase::stride][:, :, ::-1].transpose(1, 2, 3, 0))  # [O, taps reversed, 1, I]
        filters = lowering.constant(f"{weight.name}/{phase}", kernel, grid, 0)
        shape = (batch, height // stride, width, outputs)
        phases.append(lowering.builder.tensor(f"{result.name}/phase_{phase}", shape, result.dtype, *scales))
        lowering.emit(node, CONV_2D, [padded, filters, bias], [phases[-1]], **PLAIN_WINDOW)
    joined = lowering.builder.tensor(f"{result.name}/phases", (batch, height // stride, stride * width, outputs), result.dtype, *scales)
    lowering.emit(node, CONCATENATION, phases, [joined], axis=2)
    target = np.array(lowering.shape(result.name), np.int32)
    constant = lowering.constant(f"{result.name}/shape", target)
    lowering.emit(node, RESHAPE, [joined, constant], [lowering.tensor(result.name)], newShape=target)
