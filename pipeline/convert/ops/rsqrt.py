"""Sqrt followed by Reciprocal -> RSQRT."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import RSQRT
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("Sqrt", emits=(RSQRT,))
def lower_sqrt(lowering: Lowering, node: NodeProto) -> None:
    """Lower Reciprocal(Sqrt(x)) on int8. int16 is refused: LiteRT's table is wrong for small inputs; so is Sqrt alone, which TFLM lacks."""
    readers = lowering.graph.consumers(node.output[0])
    alone = len(readers) != 1 or readers[0].op_type != "Reciprocal"
    lowering.require(node, not alone, "TFLite Micro has no integer SQRT", "follow it by Reciprocal: the pair becomes RSQRT")
    reciprocal = readers[0]
    source, result = lowering.dequantized(node, 0), lowering.quantized(reciprocal)
    lowering.absorbed.add(reciprocal.output[0])
    lowest = -128
    if source.grid.zero_point[0] != lowest:
        lowering.refuse(
            node, f"its input has zero point {source.grid.zero_point[0]}, so it could be negative", "a variance has zero point -128"
        )
    lowering.emit(node, RSQRT, [lowering.tensor(source.name)], [lowering.tensor(result.name)])
