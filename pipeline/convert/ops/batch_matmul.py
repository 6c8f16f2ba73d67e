"""ReduceSumSquare -> BATCH_MATMUL of a tensor with itself: the energy of each frame, or of each sequence."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import BATCH_MATMUL, RESHAPE
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.ops.reduction import reduction_axes

CHANNEL_AXIS = 1
LARGEST_SUM = 2**31 - 1  # int32 accumulator
MAXIMUM_CHANNELS = LARGEST_SUM // 255**2  # no sum of squares of 9-bit differences may pass it


@lowers("ReduceSumSquare", emits=(BATCH_MATMUL, RESHAPE))
def lower_reduce_sum_square(lowering: Lowering, node: NodeProto) -> None:
    """Lower ReduceSumSquare(keepdims=1) on int8: over the channels of the body, x [1, T, 1, C] times its transpose gives [1, T, 1, 1]; over
    places and channels of sequences [1, N, L, C] outside the body it gives [1, N, 1, 1]."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    axes, keep = reduction_axes(lowering, node)
    layout, shape = lowering.layout(source.name), lowering.graph.shape(source.name)
    frames, sequences = layout is Layout.FRAMES and axes == [CHANNEL_AXIS], layout is Layout.PLAIN and axes == [2, 3]
    lowering.require(
        node,
        (frames or sequences) and keep,
        f"axes {axes}, keepdims {int(keep)}",
        "axes [1] of [N, C, T] or [2, 3] of [1, N, L, C], keepdims 1",
    )
    values, largest = int(np.prod([shape[axis] for axis in axes])), _largest_difference(lowering, source)
    limit = LARGEST_SUM // largest**2
    lowering.require(
        node, values <= limit, f"{values} squares of up to {largest} codes overflow int32", f"at most {limit} channels, or a coarser grid"
    )
    rows = lowering.tensor(source.name) if frames else _as_rows(lowering, node, source, values)
    lowering.emit(node, BATCH_MATMUL, [rows, rows], [lowering.tensor(result.name)], adjX=False, adjY=True)


def _as_rows(lowering: Lowering, node: NodeProto, source: Operand, values: int) -> int:
    """Sequences [1, N, L, C] as [1, N, 1, L C]; made once."""

    def make() -> int:
        shape = np.array((1, lowering.shape(source.name)[1], 1, values), np.int32)
        name, grid = f"{source.name}/rows_of_values", source.grid
        rows = lowering.builder.tensor(name, shape.tolist(), source.dtype, grid.scales(), grid.zero_points())
        target = lowering.constant(f"{name}/shape", shape)
        lowering.emit(node, RESHAPE, [lowering.tensor(source.name), target], [rows], newShape=shape)
        return rows

    return lowering.derived(("rows", source.name), make)


def _largest_difference(lowering: Lowering, operand: Operand) -> int:
    """The most codes that a tensor can be away from its zero point: 255, or fewer where it comes of a finer grid."""
    producer = lowering.graph.producer(operand.name)
    before = lowering.graph.producer(producer.input[0]) if producer is not None and producer.op_type == "QuantizeLinear" else None
    if before is None or before.op_type != "DequantizeLinear" or lowering.graph.dtype(before.input[0]) != np.int8:
        return 255
    ratio = lowering.graph.grid_of(before).scale[0] / operand.grid.scale[0]
    return min(255, int(np.ceil(255 * ratio)))
