"""Div -> DIV."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import DIV
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.integer_arithmetic import is_integer_arithmetic, lower_integer_arithmetic


@lowers("Div", emits=(DIV,), elementwise=True)
def lower_div(lowering: Lowering, node: NodeProto) -> None:
    """Lower an int32 Div. A quantized division is refused: the int8 kernels are wrong for small quotients."""
    if not is_integer_arithmetic(lowering, node):
        lowering.refuse(node, "it divides quantized values", "multiply by a reciprocal (Sqrt, Reciprocal and Mul become RSQRT and MUL)")
    lower_integer_arithmetic(lowering, node, DIV)
