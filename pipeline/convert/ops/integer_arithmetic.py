"""Plain int32 arithmetic (no scale): Add, Sub, Mul, Div become ADD, SUB, MUL, DIV. Both sides wrap, and Div truncates to zero."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import BuiltinOperator
from pipeline.convert.lowering import Lowering


def is_integer_arithmetic(lowering: Lowering, node: NodeProto) -> bool:
    """Whether an elementwise node acts on raw integers: no input is float."""
    return all(lowering.graph.is_integer(name) for name in node.input)


def lower_integer_arithmetic(lowering: Lowering, node: NodeProto, builtin: BuiltinOperator) -> None:
    """Lower Add, Sub, Mul or Div on int32 tensors and constants."""
    types = {lowering.graph.dtype(name) for name in node.input}
    lowering.require(node, types == {np.dtype(np.int32)}, "integer arithmetic on other types than int32", "Cast its inputs to int32")
    inputs = [lowering.operand(name, node.output[0]) for name in node.input]
    lowering.emit(node, builtin, inputs, [lowering.tensor(node.output[0])])
