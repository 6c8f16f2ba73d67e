"""Sub -> SUB."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import SUB
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.elementwise import lower_elementwise


@lowers("Sub", emits=(SUB,), elementwise=True)
def lower_sub(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Sub on int8, int16 or plain int32."""
    lower_elementwise(lowering, node, SUB)
