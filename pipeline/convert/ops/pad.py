"""Pad -> PAD."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import PAD
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("Pad", emits=(PAD,), moves_codes=True)
def lower_pad(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Pad of raw int8 by constant amounts with the code of real 0, the only one that the kernel knows."""
    source, output = node.input[0], node.output[0]
    grid = lowering.graph.grid(output)
    for name in node.input[1:]:
        lowering.require(node, not name or name in lowering.graph.constants, f"'{name}' is computed at run time", "make it an initializer")
    plain = lowering.graph.attributes(node).get("mode", b"constant") == b"constant" and len(node.input) in (2, 3)
    lowering.require(node, plain, "a mode or axes", "a constant, and amounts for all axes")
    value = int(lowering.graph.constants[node.input[2]].item()) if len(node.input) == 3 else 0
    zero = 0 if grid is None else grid.zero_point[0]
    lowering.require(node, value == zero, f"it pads with the code {value}, where 0 is {zero}", "pad with the zero point")
    pads = lowering.graph.constants[node.input[1]].reshape(2, -1).T
    lowering.require(node, bool((pads >= 0).all()), f"pads {pads.T.tolist()}", "pads of 0 and more")
    amounts = np.zeros((len(lowering.shape(source)), 2), np.int32)
    for axis, pair in enumerate(pads):
        amounts[lowering.axis(source, axis)] = pair
    inputs = [lowering.tensor(source), lowering.constant(f"{output}/amounts", amounts)]
    lowering.emit(node, PAD, inputs, [lowering.tensor(output)])
