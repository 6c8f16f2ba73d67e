"""Plain int32 arithmetic (no scale): Add, Sub, Mul, Div become ADD, SUB, MUL, DIV. Both sides wrap, and Div truncates to zero."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.declaration import lowers
from pipeline.convert.flatbuffer import options
from pipeline.convert.lowering import Lowering


def is_integer_arithmetic(lowering: Lowering, node: NodeProto) -> bool:
    """Whether an elementwise node acts on raw integers: no input is float."""
    return all(lowering.graph.is_integer(name) for name in node.input)


def lower_integer_arithmetic(lowering: Lowering, node: NodeProto) -> None:
    """Lower Add, Sub, Mul or Div on int32 tensors and constants."""
    types = {lowering.graph.dtype(name) for name in node.input}
    lowering.require(node, types == {np.dtype(np.int32)}, "integer arithmetic on other types than int32", "Cast its inputs to int32")
    op = node.op_type.upper()
    inputs = [lowering.operand(name, node.output[0]) for name in node.input]
    table = options(f"{node.op_type}Options")
    lowering.emit(node, op, inputs, [lowering.tensor(node.output[0])], table=table)


@lowers("Div", emits=("DIV",), elementwise=True)
def lower_div(lowering: Lowering, node: NodeProto) -> None:
    """Lower an int32 Div. A quantized division is refused: the int8 kernels are wrong for small quotients."""
    if not is_integer_arithmetic(lowering, node):
        lowering.refuse(node, "it divides quantized values", "multiply by a reciprocal (Sqrt, Reciprocal and Mul become RSQRT and MUL)")
    lower_integer_arithmetic(lowering, node)
