"""Gather from a constant int8 table -> GATHER: any function of a small integer, the same bits in every runtime."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import GATHER
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("Gather", emits=(GATHER,))
def lower_gather(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Gather of int32 indices [any shape], which must not be negative, from a table [N] on the grid of its output."""
    table, index = node.input
    output = node.output[0]
    lowering.require(node, table in lowering.graph.constants, f"its table '{table}' is computed at run time", "make it an initializer")
    value = lowering.graph.constants[table]
    lowering.require(node, value.ndim == 1 and value.dtype == np.int8, f"its table is {value.dtype} of rank {value.ndim}", "int8 [N]")
    constant = lowering.constant(table, value, lowering.graph.grid(output))
    lowering.emit(node, GATHER, [constant, lowering.tensor(index)], [lowering.tensor(output)], axis=0, batchDims=0)
