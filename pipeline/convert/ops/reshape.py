"""Reshape at the edges of the graph -> RESHAPE, or nothing where the TFLite layout has the shape already."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import RESHAPE
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering

CHANNELS_LAST = (Layout.FRAMES, Layout.PLANE)


@lowers("Reshape", emits=(RESHAPE,), moves_codes=True)
def lower_reshape(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Reshape into or out of the body, which is possible only where both orders of the axes mean the same memory.

    That is [1, T] -> [1, 1, T] (in), [1, 1, T] -> [1, 1, T] or [1, T] (out), [1, C, H W] to [1, C, H, W] and back, or between tensors
    outside the body.
    """
    source, output = node.input[0], node.output[0]
    last = [name for name in (source, output) if lowering.layout(name) in CHANNELS_LAST]
    unfolds = len(last) == 2 and lowering.graph.shape(source)[:2] == lowering.graph.shape(output)[:2]
    for name in (source, output):
        if name in last and not unfolds:
            _, channels, *places = lowering.graph.shape(name)
            reason = f"'{name}' of shape {list(lowering.graph.shape(name))} would have to be transposed"
            lowering.require(node, 1 in (channels, prod(places)), reason, "reshape only tensors of one channel, at the edges of the graph")
        lowering.require(
            node, lowering.layout(name) is not Layout.FILTER, "it reshapes a run-time filter", "compute the filter as [C, 1, 1]"
        )
    if lowering.alias(output, source):
        return
    shape = np.array(lowering.shape(output), np.int32)
    inputs = [lowering.tensor(source), lowering.constant(f"{output}/shape", shape)]
    lowering.emit(node, RESHAPE, inputs, [lowering.tensor(output)], newShape=shape)
