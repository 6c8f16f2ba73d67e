"""Softmax -> SOFTMAX."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import SOFTMAX
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering

GRIDS = {np.dtype(np.int8): (1 / 256, -128), np.dtype(np.int16): (2.0**-16, -32768)}  # of the output: the kernels accept nothing else
# the int8 kernels stop the process where 512 exponentials, each 1 at most, sum to 512; the sums hold less than 4096 in any case
LONGEST = {np.dtype(np.int8): 511, np.dtype(np.int16): 4095}


@lowers("Softmax", emits=(SOFTMAX,))
def lower_softmax(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Softmax of int8 over the last axis, whose output is int8 or, of the same kernels, int16."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    shape = lowering.graph.shape(source.name)
    axis = int(lowering.graph.attributes(node).get("axis", -1)) % len(shape)
    last = lowering.layout(source.name) is Layout.PLAIN and axis == len(shape) - 1
    lowering.require(node, last, f"its axis is {axis} of {len(shape)}", "the last axis of a tensor outside the body")
    lowering.require(node, result.dtype in GRIDS, f"it makes {result.dtype.name}", "quantize to int8 or int16")
    lowering.require_grid(node, result, *GRIDS[result.dtype])
    longest, help_ = LONGEST[result.dtype], ", or quantize to int16" if result.dtype == np.int8 else ""
    lowering.require(node, shape[-1] <= longest, f"{shape[-1]} places to {result.dtype.name}", f"at most {longest} places{help_}")
    inputs, outputs = [lowering.tensor(source.name)], [lowering.tensor(result.name)]
    lowering.emit(node, SOFTMAX, inputs, outputs, beta=1.0)
