"""Where the axes of an ONNX tensor go in the TFLite file (:class:`export_specs.layout.Layout`).

Nothing is transposed at run time for the sake of the layout.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.graph import OnnxGraph

ROWS_ORDER = [0, 2, 1]
STEP_AXIS = {Layout.ROW: 1, Layout.COLUMN: 2}  # where the axis that a loop runs along stands, with size 1


def arrange_shape(shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """The TFLite shape of a tensor of ONNX shape ``shape``."""
    if layout is Layout.FRAMES:
        batch, channels, time = shape
        return (batch, time, 1, channels)
    if layout is Layout.ROWS:
        batch, time, channels = shape
        return (batch, time, 1, channels)
    if layout is Layout.PLANE:
        batch, channels, height, width = shape
        return (batch, height, width, channels)
    if layout is Layout.FILTER:
        return (1, 1, 1, shape[0])
    if layout in STEP_AXIS:
        axis = STEP_AXIS[layout]
        return (*shape[:axis], 1, *shape[axis:])
    return tuple(shape)


def arrange_constant(value: np.ndarray, layout: Layout) -> np.ndarray:
    """A constant operand in the layout of the tensor it meets; lower ranks are padded in front, as ONNX broadcasts."""
    if layout is Layout.PLAIN or value.ndim < 2:
        return value
    value = value.reshape((1,) * (3 - value.ndim) + value.shape)
    if layout is Layout.FILTER:
        return value.reshape(1, 1, 1, -1)
    if layout in STEP_AXIS:
        return value.reshape(arrange_shape(value.shape, layout))
    return value.transpose(0, 2, 1)[:, :, None, :]


def axis_in(layout: Layout, axis: int, rank: int) -> int:
    """The TFLite axis of ONNX axis ``axis`` of a tensor of rank ``rank``."""
    axis %= rank
    if layout is Layout.FRAMES:
        return (0, 3, 1)[axis]
    if layout is Layout.ROWS:
        return (0, 1, 3)[axis]
    if layout is Layout.PLANE:
        return (0, 3, 1, 2)[axis]
    if layout is Layout.FILTER:
        return (3, 0, 0)[axis]
    if layout in STEP_AXIS:
        return axis + (axis >= STEP_AXIS[layout])
    return axis


def is_rows_transpose(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node turns FRAMES to ROWS or back."""
    return node.op_type == "Transpose" and list(graph.attributes(node).get("perm", [])) == ROWS_ORDER
