"""The layouts of a graph that tells them: the exporter's word where no node tells, and otherwise what each node makes of its inputs."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.errors import ConversionError
from pipeline.convert.graph import OnnxGraph, node_name

_RANKS = {Layout.FRAMES: 3, Layout.ROWS: 3, Layout.FILTER: 3, Layout.PLANE: 4}
_TRANSPOSED = {Layout.FRAMES: Layout.ROWS, Layout.ROWS: Layout.FRAMES}
_WEIGHTED = ("Conv", "ConvTranspose")  # whose other operands than the first are weights
_HELP = "export it again; if it was just made, this is a fault of the exporter"


def stated_layouts(graph: OnnxGraph, stated: Mapping[str, Layout]) -> dict[str, Layout]:
    """The layout of every tensor that enters the graph or is computed of what enters it.

    A node makes the layout of what it reads, a Transpose of frames rows and the other way round, and a Reshape or another change of the
    rank what is stated; tensors of rank 2 and less are plain. Where the layout of any other tensor is stated, it must be this one.

    Raises:
        ConversionError: a layout is not stated that no node tells, a stated one is another than the node's or does not suit the tensor's
            rank, or a node reads tensors of several; the message names the tensors and both layouts.
    """
    layouts: dict[str, Layout] = {}
    for name in graph.inputs:
        layouts[name] = _checked(graph, name, None, stated.get(name, Layout.PLAIN if len(graph.shape(name)) < 3 else None))
    for node in graph.nodes:
        if not any(name in layouts for name in node.input):
            constant = [name for name in node.output if name in stated]
            layouts |= {name: _checked(graph, name, node, stated[name]) for name in constant}
            continue
        for name in filter(None, node.output):
            made = _made(graph, node, name, layouts)
            told = stated.get(name, made)
            if made is not None and told is not made:
                reason = f"the file's metadata say that '{name}' is {_word(told)}, but by its node it is {made.value}"
                raise ConversionError(node_name(node), node.op_type, reason, _HELP)
            layouts[name] = _checked(graph, name, node, told)
    return layouts


def _made(graph: OnnxGraph, node: NodeProto, name: str, layouts: Mapping[str, Layout]) -> Layout | None:
    """What a node makes of the layouts that it reads; None where it does not tell."""
    if len(graph.shape(name)) < 3:
        return Layout.PLAIN
    if node.op_type == "Reshape":
        return None
    operands = node.input[:1] if node.op_type in _WEIGHTED else node.input
    read = {item: layouts[item] for item in operands if item in layouts and len(graph.shape(item)) >= 3}
    if not read:
        return None
    (first, layout), *others = read.items()
    for other, another in others:
        if another is not layout:
            reason = f"it reads '{first}', which is {layout.value}, and '{other}', which is {another.value}"
            raise ConversionError(node_name(node), node.op_type, reason, _HELP)
    made = _TRANSPOSED.get(layout, layout) if node.op_type == "Transpose" else layout
    rank = len(graph.shape(name))
    return made if _RANKS.get(made, rank) == rank else None


def _checked(graph: OnnxGraph, name: str, node: NodeProto | None, layout: Layout | None) -> Layout:
    """``layout``, if it is one and its rank is the tensor's."""
    place = (name, "graph input") if node is None else (node_name(node), node.op_type)
    if layout is None:
        raise ConversionError(*place, f"the file's metadata do not say how the axes of '{name}' are ordered", _HELP)
    shape = graph.shape(name)
    if len(shape) != _RANKS.get(layout, len(shape)) or (layout is Layout.FILTER and shape[1:] != (1, 1)):
        reason = f"the file's metadata say that '{name}' is {layout.value}, but its shape is {list(shape)}"
        raise ConversionError(*place, reason, _HELP)
    return layout


def _word(layout: Layout | None) -> str:
    return "nothing" if layout is None else layout.value
