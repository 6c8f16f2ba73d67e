"""Tanh -> TANH."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.int16_table import lower_int16_table


def lower_tanh(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Tanh on int16."""
    lower_int16_table(lowering, node, "TANH")
