"""Concat -> CONCATENATION."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.declaration import lowers
from pipeline.convert.flatbuffer import options
from pipeline.convert.lowering import Lowering


@lowers("Concat", emits=("CONCATENATION",), moves_codes=True)
def lower_concat(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Concat of raw int8 or int16 tensors on one grid, along the channels, or along any axis of what left the body."""
    output = node.output[0]
    dtype, layout = lowering.graph.dtype(output), lowering.layout(output)
    lowering.require(node, dtype in (np.int8, np.int16), f"it joins {dtype.name}", "join int8 or int16 tensors")
    for name in node.input:
        lowering.require(node, name not in lowering.graph.constants, f"'{name}' is a constant", "join run-time tensors")
        same = lowering.graph.grid(name) == lowering.graph.grid(output)
        lowering.require(node, same, f"'{name}' and the output do not share scale and zero point", "one grid for all inputs and the output")
        lowering.require(
            node, lowering.layout(name) is layout, f"'{name}' lies in another layout than the output", "Reshape all of them or none"
        )
    axis = lowering.axis(output, int(lowering.graph.attributes(node)["axis"]))
    inputs = [lowering.tensor(name) for name in node.input]
    lowering.emit(
        node, "CONCATENATION", inputs, [lowering.tensor(output)], 2 if dtype == np.int8 else 3, options("ConcatenationOptions", axis=axis)
    )
