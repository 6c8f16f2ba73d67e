"""Min -> MINIMUM."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import MINIMUM, SUB
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.maximum import lower_extremum


@lowers("Min", emits=(MINIMUM, SUB), moves_codes=True, elementwise=True)
def lower_min(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Min."""
    lower_extremum(lowering, node, MINIMUM)
