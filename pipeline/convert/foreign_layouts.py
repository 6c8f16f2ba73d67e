"""The layouts of a graph that does not tell them, guessed from ranks and operators."""

from __future__ import annotations

from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.graph import OnnxGraph
from pipeline.convert.layout import is_rows_transpose


def guessed_layouts(graph: OnnxGraph) -> dict[str, Layout]:
    """The layout of every tensor that a node makes or that enters the graph.

    Rank 4 is PLAIN, but for PLANE: a Reshape of frames or of a plane that keeps their first two axes, and what comes of it.
    Rank 3 is FRAMES, except for an input that nothing but Reshapes to another rank read, PCM of several channels (PLAIN); for what
    becomes the weight of a Conv (FILTER, found by walking back over integer arithmetic); for what follows a Reshape of equal shape or of
    ROWS, which leave the body (PLAIN, walking forward); and for ROWS.
    """
    layouts: dict[str, Layout] = {}
    for name in _run_time_filters(graph):
        layouts[name] = Layout.FILTER
    for name in graph.inputs:
        layouts[name] = Layout.FRAMES if len(graph.shape(name)) == 3 and not _is_reshaped(graph, name) else Layout.PLAIN
    for node in graph.nodes:
        for name in node.output:
            if not name or name in layouts or name in graph.constants:
                continue
            if len(graph.shape(name)) != 3:
                layouts[name] = Layout.PLANE if _is_plane(graph, node, name, layouts) else Layout.PLAIN
            elif node.op_type == "Transpose":
                layouts[name] = Layout.ROWS if layouts.get(node.input[0]) is Layout.FRAMES else Layout.FRAMES
            elif _comes_of_sequences(graph, node, layouts) and any(is_rows_transpose(graph, reader) for reader in graph.consumers(name)):
                layouts[name] = Layout.ROWS
            elif node.op_type == "Reshape":
                source = node.input[0]
                stays = layouts.get(source) in (Layout.FRAMES, Layout.PLAIN) and graph.shape(source) == graph.shape(name)
                layouts[name] = Layout.PLAIN if stays or layouts.get(source) is Layout.ROWS else Layout.FRAMES
            else:
                sources = [item for item in node.input if item in layouts and len(graph.shape(item)) == 3]
                layouts[name] = Layout.PLAIN if sources and all(layouts[item] is Layout.PLAIN for item in sources) else Layout.FRAMES
    return layouts


def _comes_of_sequences(graph: OnnxGraph, node: NodeProto, layouts: dict[str, Layout]) -> bool:
    return len(graph.shape(node.input[0])) == 4 and layouts.get(node.input[0]) is not Layout.PLANE


def _is_plane(graph: OnnxGraph, node: NodeProto, name: str, layouts: dict[str, Layout]) -> bool:
    if len(graph.shape(name)) != 4:
        return False
    if node.op_type == "Reshape":
        return layouts.get(node.input[0]) in (Layout.FRAMES, Layout.PLANE) and graph.shape(node.input[0])[:2] == graph.shape(name)[:2]
    return any(layouts.get(item) is Layout.PLANE for item in node.input)


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
