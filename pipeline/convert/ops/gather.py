"""Gather from a constant int8 table -> GATHER: any function of a small integer, the same bits in every runtime."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.declaration import lowers
from pipeline.convert.flatbuffer import options
from pipeline.convert.lowering import Lowering


@lowers("Gather", emits=("GATHER",))
def lower_gather(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Gather of int32 indices [any shape], which must not be negative, from a table [N] on the grid of its output."""
    table, index = node.input
    output = node.output[0]
    lowering.require(node, table in lowering.graph.constants, f"its table '{table}' is computed at run time", "make it an initializer")
    value = lowering.graph.constants[table]
    lowering.require(node, value.ndim == 1 and value.dtype == np.int8, f"its table is {value.dtype} of rank {value.ndim}", "int8 [N]")
    dtype = lowering.graph.dtype(index)
    lowering.require(node, dtype == np.int32, f"its indices are {dtype}", "Cast them to int32")
    constant = lowering.constant(table, value, lowering.graph.grid(output))
    table_options = options("GatherOptions", axis=0, batchDims=0)
    lowering.emit(node, "GATHER", [constant, lowering.tensor(index)], [lowering.tensor(output)], 2, table_options)
