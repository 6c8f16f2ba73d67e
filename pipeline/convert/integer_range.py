"""Between which ends the values of integer arithmetic lie, from the types and constants it begins with: what cannot overflow."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.graph import OnnxGraph

Range = tuple[int, int]
INT32: Range = (-(2**31), 2**31 - 1)
UNCHANGED = ("Reshape", "Slice", "Concat")  # of their first input, or of all


def integer_range(graph: OnnxGraph, name: str) -> Range:
    """The least and the largest value that the integer tensor ``name`` can have; of int32 arithmetic that may wrap, all of int32."""
    return _range(graph, name, {})


def _range(graph: OnnxGraph, name: str, known: dict[str, Range]) -> Range:
    if name not in known:
        known[name] = _computed(graph, name, known)
    return known[name]


def _computed(graph: OnnxGraph, name: str, known: dict[str, Range]) -> Range:
    if name in graph.constants:
        values = graph.constants[name]
        return int(values.min()), int(values.max())
    limits = np.iinfo(graph.dtype(name))
    widest = int(limits.min), int(limits.max)
    node = graph.producer(name)
    if node is None:
        return widest
    found = _result(graph, node, known)
    return widest if found is None or found[0] < widest[0] or found[1] > widest[1] else found


def _result(graph: OnnxGraph, node: NodeProto, known: dict[str, Range]) -> Range | None:
    """What a node makes if nothing wraps; None where that is not known."""

    def operand(position: int) -> Range:
        return _range(graph, node.input[position], known)

    if node.op_type == "Cast" and graph.is_integer(node.input[0]):
        return operand(0)
    if node.op_type in UNCHANGED:
        ends = [operand(position) for position in range(len(node.input) if node.op_type == "Concat" else 1)]
        return min(low for low, _ in ends), max(high for _, high in ends)
    if node.op_type not in ("Add", "Sub", "Mul", "Div", "Min", "Max") or not all(graph.is_integer(item) for item in node.input):
        return None
    (a_low, a_high), (b_low, b_high) = operand(0), operand(1)
    if node.op_type == "Add":
        return a_low + b_low, a_high + b_high
    if node.op_type == "Sub":
        return a_low - b_high, a_high - b_low
    if node.op_type == "Mul":
        products = [a * b for a in (a_low, a_high) for b in (b_low, b_high)]
        return min(products), max(products)
    if node.op_type == "Div":
        if b_low != b_high or b_low <= 0:
            return None
        return _truncated(a_low, b_low), _truncated(a_high, b_low)
    choose = min if node.op_type == "Min" else max
    return choose(a_low, b_low), choose(a_high, b_high)


def _truncated(value: int, divisor: int) -> int:
    return value // divisor if value >= 0 else -(-value // divisor)
