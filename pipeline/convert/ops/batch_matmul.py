"""ReduceSumSquare over the channels -> BATCH_MATMUL of a tensor with itself: the energy of each frame."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.flatbuffer import options
from pipeline.convert.layout import Layout
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.reduction import reduction_axes

CHANNEL_AXIS = 1
MAXIMUM_CHANNELS = (2**31 - 1) // 255**2  # int32 accumulator: no sum of squares of 9-bit differences may pass it


def lower_reduce_sum_square(lowering: Lowering, node: NodeProto) -> None:
    """Lower ReduceSumSquare(axes=[1], keepdims=1) on int8: x [1, T, 1, C] times its transpose gives [1, T, 1, 1]."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.require_types(node, (np.int8,), source, result)
    axes, keep = reduction_axes(lowering, node)
    body = lowering.layout(source.name) is Layout.BODY
    lowering.require(
        node, body and axes == [CHANNEL_AXIS] and keep, f"axes {axes}, keepdims {int(keep)}", "axes [1] of [N, C, T], keepdims 1"
    )
    channels = lowering.graph.shape(source.name)[CHANNEL_AXIS]
    lowering.require(node, channels <= MAXIMUM_CHANNELS, f"{channels} channels overflow int32", f"at most {MAXIMUM_CHANNELS} channels")
    frame = lowering.tensor(source.name)
    table = options("BatchMatMulOptions", adjX=False, adjY=True)
    lowering.emit(node, "BATCH_MATMUL", [frame, frame], [lowering.tensor(result.name)], 2, table)
