"""Where the axes of an ONNX tensor go in the TFLite file. Nothing is transposed at run time for the sake of the layout.

BODY    rank 3 [N, C, T]  ->  [N, T, 1, C]   time is the height, channels are last
ROWS    rank 3 [N, T, C]  ->  [N, T, 1, C]   a BODY tensor on its way to or from another rank: the same TFLite tensor
PLANE   rank 4 [N, C, H, W] ->  [N, H, W, C]  a Reshape of BODY or PLANE, for two-dimensional convolutions, and what comes of it
FILTER  rank 3 [C, 1, 1]  ->  [1, 1, 1, C]   a depthwise filter computed at run time
PLAIN   any rank, unchanged                  rank 0 to 2 and 4 (chunks [1, S, K, C]), what a Reshape at the edge of the graph makes, and an
                                             input of rank 3 that nothing but Reshapes to another rank read: PCM of several channels
COLUMN  rank 3 [1, N, C]  ->  [1, N, 1, C]   a step of a loop along axis 2 of chunks
ROW     rank 3 [1, N, C]  ->  [1, 1, N, C]   a step of a loop along axis 1 of chunks
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from onnx import NodeProto

from pipeline.convert.graph import OnnxGraph

ROWS_ORDER = [0, 2, 1]


class Layout(Enum):
    """How the axes of a tensor are ordered in the TFLite file."""

    BODY = "body"
    ROWS = "rows"
    PLANE = "plane"
    FILTER = "filter"
    PLAIN = "plain"
    COLUMN = "column"
    ROW = "row"


STEP_AXIS = {Layout.ROW: 1, Layout.COLUMN: 2}  # where the axis that a loop runs along stands, with size 1


def arrange_shape(shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """The TFLite shape of a tensor of ONNX shape ``shape``."""
    if layout is Layout.BODY:
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
    if layout is Layout.BODY:
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


def assign_layouts(graph: OnnxGraph) -> dict[str, Layout]:
    """The layout of every tensor that a node makes or that enters the graph.

    Rank 4 is PLAIN but for PLANE.
    Rank 3 is BODY, except for PCM (PLAIN, see above), for what becomes the weight of a Conv (FILTER, found by walking back over integer
    arithmetic), for what follows a Reshape of equal shape or of ROWS, which leave the body (PLAIN, walking forward), and for ROWS.
    """
    layouts: dict[str, Layout] = {}
    for name in _run_time_filters(graph):
        layouts[name] = Layout.FILTER
    for name in graph.inputs:
        layouts[name] = Layout.BODY if len(graph.shape(name)) == 3 and not _is_reshaped(graph, name) else Layout.PLAIN
    for node in graph.nodes:
        for name in node.output:
            if not name or name in layouts or name in graph.constants:
                continue
            if len(graph.shape(name)) != 3:
                layouts[name] = Layout.PLANE if _is_plane(graph, node, name, layouts) else Layout.PLAIN
            elif node.op_type == "Transpose":
                layouts[name] = Layout.ROWS if layouts.get(node.input[0]) is Layout.BODY else Layout.BODY
            elif _comes_of_sequences(graph, node, layouts) and any(is_rows_transpose(graph, reader) for reader in graph.consumers(name)):
                layouts[name] = Layout.ROWS
            elif node.op_type == "Reshape":
                source = node.input[0]
                stays = layouts.get(source) in (Layout.BODY, Layout.PLAIN) and graph.shape(source) == graph.shape(name)
                layouts[name] = Layout.PLAIN if stays or layouts.get(source) is Layout.ROWS else Layout.BODY
            else:
                sources = [item for item in node.input if item in layouts and len(graph.shape(item)) == 3]
                layouts[name] = Layout.PLAIN if sources and all(layouts[item] is Layout.PLAIN for item in sources) else Layout.BODY
    return layouts


def _comes_of_sequences(graph: OnnxGraph, node: NodeProto, layouts: dict[str, Layout]) -> bool:
    return len(graph.shape(node.input[0])) == 4 and layouts.get(node.input[0]) is not Layout.PLANE


def _is_plane(graph: OnnxGraph, node: NodeProto, name: str, layouts: dict[str, Layout]) -> bool:
    if len(graph.shape(name)) != 4:
        return False
    if node.op_type == "Reshape":
        return layouts.get(node.input[0]) in (Layout.BODY, Layout.PLANE) and graph.shape(node.input[0])[:2] == graph.shape(name)[:2]
    return any(layouts.get(item) is Layout.PLANE for item in node.input)


def is_rows_transpose(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node turns BODY to ROWS or back."""
    return node.op_type == "Transpose" and list(graph.attributes(node).get("perm", [])) == ROWS_ORDER


def _is_reshaped(graph: OnnxGraph, name: str) -> bool:
    readers = graph.consumers(name)
    return bool(readers) and all(node.op_type == "Reshape" and len(graph.shape(node.output[0])) != 3 for node in readers)


def _run_time_filters(graph: OnnxGraph) -> set[str]:
    found: set[str] = set()
    for conv in graph.nodes:
        if conv.op_type != "Conv":
            continue
        dequantize = graph.producer(conv.input[1])
        if dequantize is None or dequantize.op_type != "DequantizeLinear" or dequantize.input[0] in graph.constants:
            continue
        waiting = [conv.input[1], dequantize.input[0]]
        while waiting:
            name = waiting.pop()
            if name in found or name in graph.constants or graph.shape(name)[1:] != (1, 1) or len(graph.shape(name)) != 3:
                continue
            found.add(name)
            producer = graph.producer(name)
            declaration = None if producer is None else graph.declared(producer)
            if producer is not None and declaration is not None and declaration.elementwise:
                waiting.extend(producer.input)
    return found
