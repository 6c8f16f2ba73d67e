"""Split into equal parts -> SPLIT."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import SPLIT
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("Split", emits=(SPLIT,), in_graph=False, in_loop=True, moves_codes=True)
def lower_split(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Split of a raw int16 tensor into ``num_outputs`` parts on its grid."""
    source, attributes = node.input[0], lowering.graph.attributes(node)
    lowering.require(node, len({lowering.shape(name) for name in node.output}) == 1, "its parts are unequal", "equal parts")
    for name in node.output:
        on_one_grid = lowering.graph.grid(name) == lowering.graph.grid(source)
        lowering.require(
            node, on_one_grid, f"'{name}' and the input do not share scale and zero point", "one grid for the input and all outputs"
        )
    axis = lowering.constant(f"{node.output[0]}/axis", np.array(lowering.axis(source, int(attributes.get("axis", 0))), np.int32))
    outputs = [lowering.tensor(name) for name in node.output]
    lowering.emit(node, SPLIT, [axis, lowering.tensor(source)], outputs, numSplits=len(node.output))
