"""Tanh -> TANH."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import TANH
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.table import lower_table


@lowers("Tanh", emits=(TANH,), in_loop=True)
def lower_tanh(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Tanh on int8 or int16."""
    lower_table(lowering, node, TANH, 1 / 128, 0)
