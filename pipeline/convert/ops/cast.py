"""Cast -> CAST."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.flatbuffer import TENSOR_TYPES, options
from pipeline.convert.lowering import Lowering


def lower_cast(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Cast between int8, int16 and int32; scales play no part."""
    source, target = node.input[0], node.output[0]
    types = {name: TENSOR_TYPES[lowering.graph.dtype(name)] for name in (source, target)}
    table = options("CastOptions", inDataType=types[source], outDataType=types[target])
    lowering.emit(node, "CAST", [lowering.tensor(source)], [lowering.tensor(target)], table=table)
