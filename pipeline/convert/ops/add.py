"""Add -> ADD."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import ADD
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.elementwise import lower_elementwise


@lowers("Add", emits=(ADD,), in_loop=True, elementwise=True)
def lower_add(lowering: Lowering, node: NodeProto) -> None:
    """Lower an Add on int8, int16 or plain int32."""
    lower_elementwise(lowering, node, ADD)
