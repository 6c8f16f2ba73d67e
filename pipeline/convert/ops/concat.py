"""Concat -> CONCATENATION."""

from __future__ import annotations

from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import CONCATENATION
from pipeline.convert.declaration import lowers
from pipeline.convert.framed import channels_to_frame
from pipeline.convert.lowering import Lowering


@lowers("Concat", emits=(CONCATENATION,), moves_codes=True)
def lower_concat(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Concat of raw int8 or int16 tensors on one grid, along the channels, or along any axis of what left the body."""
    output = node.output[0]
    layout = lowering.layout(output)
    for name in node.input:
        lowering.require(node, name not in lowering.graph.constants, f"'{name}' is a constant", "join run-time tensors")
        on_one_grid = lowering.graph.grid(name) == lowering.graph.grid(output)
        lowering.require(
            node, on_one_grid, f"'{name}' and the output do not share scale and zero point", "one grid for all inputs and the output"
        )
        lowering.require(
            node, lowering.layout(name) is layout, f"'{name}' lies in another layout than the output", "Reshape all of them or none"
        )
    if layout is Layout.FRAMES and channels_to_frame(lowering.graph, output) is not None:
        return  # the convolution joins frames of its parts
    axis = lowering.axis(output, int(lowering.graph.attributes(node)["axis"]))
    inputs = [lowering.tensor(name) for name in node.input]
    lowering.emit(node, CONCATENATION, inputs, [lowering.tensor(output)], axis=axis)
