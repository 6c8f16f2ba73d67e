"""Cast -> CAST."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import CAST
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("Cast", emits=(CAST,), elementwise=True)
def lower_cast(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Cast between int8, int16 and int32; scales play no part. Kernels take the types from the tensors, not from options."""
    lowering.emit(node, CAST, [lowering.tensor(node.input[0])], [lowering.tensor(node.output[0])])
