"""Conv over a plane [N, C, H, W] -> CONV_2D."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from pipeline.convert.builtin_operators import CONV_2D, PAD
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.ops.convolution import bias_tensor, static_weight, weight_operand


def is_plane(lowering: Lowering, node: NodeProto) -> bool:
    """Whether a Conv or ConvTranspose is a two-dimensional one."""
    return len(lowering.graph.shape(node.input[0])) == 4


def lower_plane_conv(lowering: Lowering, node: NodeProto) -> None:
    """Lower a two-dimensional int8 Conv of one group with its optional Relu; the kernel [O, I, h, w] becomes [O, h, w, I]."""
    source = lowering.dequantized(node, 0)
    weight = weight_operand(lowering, node, channel_axis=0, rank=4)
    result = lowering.quantized(node, fuse_relu=True)
    attributes = lowering.graph.attributes(node)
    plain = attributes.get("group", 1) == 1 and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
    lowering.require(node, plain, "groups or auto_pad", "one group, and stated pads")
    value = static_weight(lowering, node, weight)
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    pads = np.reshape(attributes.get("pads", [0] * 4), (2, 2)).T.tolist()  # [[top, bottom], [left, right]]
    if not np.any(pads):
        inputs, padding = lowering.tensor(source.name), schema.Padding.VALID
    elif pads == [_same(*size) for size in zip(lowering.graph.shape(source.name)[2:], value.shape[2:], strides, dilations, strict=True)]:
        inputs, padding = lowering.tensor(source.name), schema.Padding.SAME
    else:
        inputs, padding = pad_plane(lowering, node, source, pads), schema.Padding.VALID
    channels = value.shape[0]
    grid = weight.grid.expanded(channels)
    kernel = lowering.derived(("conv", weight.name), lambda: lowering.constant(weight.name, value.transpose(0, 2, 3, 1), grid, 0))
    bias = bias_tensor(lowering, node, source, weight, channels)
    lowering.emit(
        node,
        CONV_2D,
        [inputs, kernel, bias],
        [lowering.tensor(result.name)],
        padding=padding,
        strideH=strides[0],
        strideW=strides[1],
        dilationHFactor=dilations[0],
        dilationWFactor=dilations[1],
        fusedActivationFunction=result.activation,
    )


def pad_plane(lowering: Lowering, node: NodeProto, source: Operand, pads: list[list[int]]) -> int:
    """A PAD of height and width, [[top, bottom], [left, right]], by the code of real 0; made once for each amount."""
    lowering.require(node, min(map(min, pads)) >= 0, f"pads {pads}", "pads of 0 and more")

    def make() -> int:
        batch, height, width, channels = lowering.shape(source.name)
        name = f"{source.name}/pad_{'_'.join(str(amount) for pair in pads for amount in pair)}"
        shape = (batch, height + sum(pads[0]), width + sum(pads[1]), channels)
        padded = lowering.builder.tensor(name, shape, source.dtype, source.grid.scales(), source.grid.zero_points())
        amounts = lowering.constant(f"{name}/amounts", np.array([[0, 0], *pads, [0, 0]], np.int32))
        lowering.emit(node, PAD, [lowering.tensor(source.name), amounts], [padded])
        return padded

    return lowering.derived(("pad", source.name, *map(tuple, pads)), make)


def _same(size: int, kernel: int, stride: int, dilation: int) -> list[int]:
    """The amounts that TFLite pads by itself along one axis."""
    needed = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return [needed // 2, needed - needed // 2]
