"""Transpose -> TRANSPOSE; nothing where the TFLite tensor is the same, or where MatMul takes it in."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import TRANSPOSE
from pipeline.convert.declaration import lowers
from pipeline.convert.layout import is_rows_transpose
from pipeline.convert.lowering import Lowering


@lowers("Transpose", emits=(TRANSPOSE,), moves_codes=True)
def lower_transpose(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Transpose of int8 outside the body with a constant order of the axes, or one between channels and time in second place."""
    source, output = node.input[0], node.output[0]
    if not lowering.graph.is_integer(source):
        readers = lowering.graph.consumers(output)
        taken = bool(readers) and all(reader.op_type == "MatMul" for reader in readers)
        lowering.require(node, taken, "it transposes a float edge", "transpose the int8 tensor, or the second operand of a MatMul")
        return
    if Layout.ROWS in (lowering.layout(source), lowering.layout(output)):
        readers = lowering.graph.consumers(source)
        single = lowering.layout(source) is Layout.FRAMES or len(readers) == 1
        alone = is_rows_transpose(lowering.graph, node) and single
        lowering.require(node, alone, "it is not the only one of its input, or not of [0, 2, 1]", "one Transpose of [0, 2, 1]")
        return
    plain = lowering.layout(source) is lowering.layout(output) is Layout.PLAIN
    lowering.require(node, plain, "it transposes a tensor of the body", "Reshape it to rank 4 first")
    order = lowering.graph.attributes(node).get("perm", range(len(lowering.shape(source)))[::-1])
    inputs = [lowering.tensor(source), lowering.constant(f"{output}/order", np.array(order, np.int32))]
    lowering.emit(node, TRANSPOSE, inputs, [lowering.tensor(output)])
