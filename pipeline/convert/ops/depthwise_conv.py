"""Conv with one group a channel -> DEPTHWISE_CONV_2D, its weight and bias static or computed at run time."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import DEPTHWISE_CONV_2D
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.convolution import bias_tensor, padded_input, read_window, weight_operand
from pipeline.convert.ops.folded_dilation import lower_folded


def lower_depthwise_conv(lowering: Lowering, node: NodeProto, groups: int) -> None:
    """Lower a depthwise int8 Conv; the kernel [C, 1, k] becomes [1, k, 1, C].

    A run-time weight has shape [C, 1, 1] and lies as [1, 1, 1, C] from where it is computed; its scales are those of the
    DequantizeLinear before the Conv. Source: DEPTHWISE_CONV_2D takes a run-time filter and bias, bit for bit as constant ones.
    """
    source = lowering.dequantized(node, 0)
    channels = lowering.graph.shape(source.name)[1]
    weight = weight_operand(lowering, node, channel_axis=0)
    result = lowering.quantized(node, fuse_relu=True)
    shape = lowering.graph.shape(weight.name)
    depthwise = groups == channels and shape[0] == channels
    lowering.require(
        node,
        depthwise,
        f"it has {groups} groups for {channels} channels and {shape[0]} filters",
        "group=1, or a group and a filter a channel",
    )
    window = read_window(lowering, node, shape[2])
    inputs, padding = padded_input(lowering, node, source, window)
    if weight.name in lowering.graph.constants:
        value = lowering.graph.constants[weight.name].transpose(1, 2, 0)[:, :, None, :]
        grid = weight.grid.expanded(channels)
        kernel = lowering.derived(("depthwise", weight.name), lambda: lowering.constant(weight.name, value, grid, 3))
    else:
        lowering.require(node, shape[2] == 1, f"its run-time weight has {shape[2]} taps", "a run-time weight of one tap, [C, 1, 1]")
        lowering.require(node, not weight.grid.per_tensor or channels == 1, "its run-time weight has one scale", "one scale a channel")
        kernel = lowering.tensor(weight.name)
    bias = bias_tensor(lowering, node, source, weight, channels)
    if window.dilation > 1 and window.stride == 1 and "fold-dilation" in lowering.rewrites:
        lower_folded(lowering, node, (source, result), (inputs, kernel, bias), window)
        return
    lowering.emit(
        node,
        DEPTHWISE_CONV_2D,
        [inputs, kernel, bias],
        [lowering.tensor(result.name)],
        padding=padding,
        strideH=window.stride,
        strideW=window.stride,  # some kernels want equal strides; the width is 1, so this one has no effect
        dilationHFactor=window.dilation,
        dilationWFactor=1,
        depthMultiplier=1,
        fusedActivationFunction=result.activation,
    )
