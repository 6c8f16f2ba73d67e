"""Reshape at the edges of the graph -> RESHAPE, or nothing where the TFLite layout has the shape already."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import RESHAPE
from pipeline.convert.declaration import lowers
from pipeline.convert.layout import Layout
from pipeline.convert.lowering import Lowering


@lowers("Reshape", emits=(RESHAPE,), moves_codes=True)
def lower_reshape(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Reshape into or out of the body, which is possible only where both orders of the axes mean the same memory.

    That is [1, T] -> [1, 1, T] (in), [1, 1, T] -> [1, 1, T] or [1, T] (out), [1, C, H W] to [1, C, H, W] and back, or between tensors
    outside the body.
    """
    source, output = node.input[0], node.output[0]
    planes = {lowering.layout(source), lowering.layout(output)} == {Layout.BODY, Layout.PLANE}
    unfolds = planes and lowering.graph.shape(source)[:2] == lowering.graph.shape(output)[:2]
    for name in (source, output):
        if lowering.layout(name) is Layout.BODY and not unfolds:
            channels, time = lowering.graph.shape(name)[1:]
            reason = f"'{name}' of shape {list(lowering.graph.shape(name))} would have to be transposed"
            lowering.require(node, 1 in (channels, time), reason, "reshape only tensors of one channel, at the edges of the graph")
        lowering.require(
            node, lowering.layout(name) is not Layout.FILTER, "it reshapes a run-time filter", "compute the filter as [C, 1, 1]"
        )
    if lowering.alias(output, source):
        return
    shape = np.array(lowering.shape(output), np.int32)
    inputs = [lowering.tensor(source), lowering.constant(f"{output}/shape", shape)]
    lowering.emit(node, RESHAPE, inputs, [lowering.tensor(output)], newShape=shape)
