"""Softmax -> SOFTMAX."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.flatbuffer import options
from pipeline.convert.layout import Layout
from pipeline.convert.lowering import Lowering

OUTPUT_SCALE, OUTPUT_ZERO_POINT = 1 / 256, -128  # the kernels accept nothing else
INT16_OUTPUT_SCALE = 2.0**-15
LONGEST = 511  # the int8 kernels stop the process where 512 exponentials, each 1 at most, sum to 512; such weights would all be 0
INT16_VERSION = 3


def lower_softmax(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Softmax on int8 or int16 over the last axis."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.require_types(node, (np.int8, np.int16), source, result)
    rank = len(lowering.graph.shape(source.name))
    axis = int(lowering.graph.attributes(node).get("axis", -1)) % rank
    last = lowering.layout(source.name) is Layout.PLAIN and axis == rank - 1
    lowering.require(node, last, f"its axis is {axis} of {rank}", "the last axis of a tensor outside the body")
    wide = source.dtype == np.int16
    if wide:
        lowering.require_grid(node, result, INT16_OUTPUT_SCALE, 0)
    else:
        places = lowering.graph.shape(source.name)[-1]
        lowering.require(node, places <= LONGEST, f"{places} places on int8", f"at most {LONGEST} places, or int16")
        lowering.require_grid(node, result, OUTPUT_SCALE, OUTPUT_ZERO_POINT)
    inputs, outputs = [lowering.tensor(source.name)], [lowering.tensor(result.name)]
    lowering.emit(node, "SOFTMAX", inputs, outputs, INT16_VERSION if wide else 2, options("SoftmaxOptions", beta=1.0))
