"""Sigmoid -> LOGISTIC."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import LOGISTIC
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.table import lower_table


@lowers("Sigmoid", emits=(LOGISTIC,), in_loop=True)
def lower_sigmoid(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Sigmoid on int8 or int16."""
    lower_table(lowering, node, LOGISTIC, 1 / 256, -128)
