"""The axes of an ONNX reduction, as an attribute (before opset 18) or as an input."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.lowering import Lowering


def reduction_axes(lowering: Lowering, node: NodeProto) -> tuple[list[int], bool]:
    """The sorted, non-negative axes that ``node`` reduces, and whether it keeps them with size 1."""
    attributes = lowering.graph.attributes(node)
    rank = len(lowering.graph.shape(node.input[0]))
    given = attributes.get("axes")
    if given is None and len(node.input) > 1 and node.input[1]:
        lowering.require(node, node.input[1] in lowering.graph.constants, "its axes are computed at run time", "make them an initializer")
        given = lowering.graph.constants[node.input[1]].reshape(-1).tolist()
    axes = sorted(int(axis) % rank for axis in given) if given is not None else list(range(rank))
    lowering.require(node, 0 not in axes or rank == 1, "it reduces the batch axis", "reduce axes 1 and 2 only")
    return axes, bool(attributes.get("keepdims", 1))
