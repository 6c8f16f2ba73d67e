"""What Conv in its three forms shares: weights and biases as the kernels want them, and padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from pipeline.convert.builtin_operators import PAD
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.quantization import Quantization

PLAIN_WINDOW = {"padding": schema.Padding.VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}  # of CONV_2D
BIAS_SCALE_TOLERANCE = 1e-6  # relative; the kernels themselves allow 2 % of the output's step


@dataclass(frozen=True)
class Window:
    """Kernel geometry along time, as ONNX states it."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int


def read_window(lowering: Lowering, node: NodeProto, kernel: int) -> Window:
    """The stride, dilation and padding of a one-dimensional Conv or ConvTranspose."""
    attributes = lowering.graph.attributes(node)
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    lowering.require(node, automatic in ("NOTSET", "VALID"), f"auto_pad {automatic}", "state the pads")
    before, after = attributes.get("pads", [0, 0])
    stride, dilation = attributes.get("strides", [1])[0], attributes.get("dilations", [1])[0]
    return Window(kernel, int(stride), int(dilation), int(before), int(after))


def weight_operand(lowering: Lowering, node: NodeProto, channel_axis: int, rank: int = 3) -> Operand:
    """The int8 weight of a convolution; its scales lie along ``channel_axis`` and its zero points are 0."""
    weight = lowering.dequantized(node, 1)
    found = len(lowering.graph.shape(weight.name))
    lowering.require(
        node, found == rank, f"its weight has rank {found}", f"a weight of rank {rank}: [O, I, k] over time, [O, I, k, l] over a plane"
    )
    lowering.require(node, not any(weight.grid.zero_point), "its weight has a zero point", "symmetric weights (zero point 0)")
    along = weight.grid.per_tensor or weight.grid.axis == channel_axis
    lowering.require(node, along, f"its weight has scales along axis {weight.grid.axis}", f"scales along axis {channel_axis}")
    return weight


def static_weight(lowering: Lowering, node: NodeProto, weight: Operand) -> np.ndarray:
    """The codes of a weight that must be an initializer."""
    if weight.name not in lowering.graph.constants:
        lowering.refuse(node, f"its weight '{weight.name}' is computed at run time", "only a depthwise Conv may compute its weight")
    return lowering.graph.constants[weight.name]


def accumulator_grid(channels: int) -> Quantization:
    """The grid stored with a bias of C channels: scale 1, that is steps of the accumulator.

    Every kernel takes the step as s_x * s_w (LiteRT, XNNPACK, TFLM: measured, equal outputs); XNNPACK only asks for one scale a channel.
    Vectors of ones are shared between all convolutions, where s_x * s_w would add 4 bytes a channel, 3 % of a network's file.
    """
    return Quantization((1.0,) * channels, (0,) * channels)


def bias_tensor(lowering: Lowering, node: NodeProto, source: Operand, weight: Operand, channels: int, part: slice | None = None) -> int:
    """The int32 bias [O] at scale s_x * s_w: the initializer, the run-time tensor, or zeros where the node has none.

    ``part``: of the channels, for a convolution that computes these alone.
    """
    part = slice(0, channels) if part is None else part
    count = part.stop - part.start
    scales = source.grid.scales() * weight.grid.expanded(channels).scales()
    if len(node.input) < 3 or not node.input[2]:
        return lowering.constant(f"{weight.name}/zero_bias", np.zeros(count, np.int32), accumulator_grid(count))
    bias = lowering.dequantized(node, 2)
    shape = lowering.graph.shape(bias.name)
    lowering.require(node, shape == (channels,), f"its bias has shape {list(shape)}", f"shape [{channels}]")
    lowering.require(node, not any(bias.grid.zero_point), "its bias has a zero point", "zero point 0")
    equal = np.allclose(bias.grid.expanded(channels).scales(), scales, rtol=BIAS_SCALE_TOLERANCE, atol=0)
    lowering.require(
        node, equal, f"its bias '{bias.name}' is not at scale s_x * s_w", "export the bias at the product of input and weight scale"
    )
    if bias.name not in lowering.graph.constants:
        lowering.require(node, count == channels, f"its bias '{bias.name}' is computed at run time", "make it an initializer")
        return lowering.tensor(bias.name)
    value = lowering.graph.constants[bias.name][part]
    return lowering.derived(("bias", bias.name, part.start), lambda: lowering.constant(bias.name, value, accumulator_grid(count)))


def padded_input(lowering: Lowering, node: NodeProto, source: Operand, window: Window) -> tuple[int, int]:
    """The input tensor and the TFLite padding: VALID; SAME where ONNX pads alike; else VALID after a PAD with the zero point."""
    if window.before == window.after == 0:
        return lowering.tensor(source.name), schema.Padding.VALID
    time = lowering.graph.shape(source.name)[2]
    needed = max((-(-time // window.stride) - 1) * window.stride + (window.kernel - 1) * window.dilation + 1 - time, 0)
    if (window.before, window.after) == (needed // 2, needed - needed // 2):
        return lowering.tensor(source.name), schema.Padding.SAME
    return pad_time(lowering, node, source, window.before, window.after), schema.Padding.VALID


def pad_time(lowering: Lowering, node: NodeProto, source: Operand, before: int, after: int) -> int:
    """A PAD of the time axis by the code of real 0; tensors padded alike are padded once."""
    lowering.require(node, min(before, after) >= 0, f"pads {before}, {after}", "pads of 0 and more")

    def make() -> int:
        batch, time, width, channels = lowering.shape(source.name)
        name = f"{source.name}/pad_{before}_{after}"
        grid = source.grid
        padded = lowering.builder.tensor(
            name, (batch, before + time + after, width, channels), source.dtype, grid.scales(), grid.zero_points()
        )
        amounts = lowering.constant(f"{name}/amounts", np.array([[0, 0], [before, after], [0, 0], [0, 0]], np.int32))
        lowering.emit(node, PAD, [lowering.tensor(source.name), amounts], [padded])
        return padded

    return lowering.derived(("pad", source.name, before, after), make)
