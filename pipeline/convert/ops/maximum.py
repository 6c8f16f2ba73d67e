"""Max -> MAXIMUM."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.declaration import lowers
from pipeline.convert.flatbuffer import options
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.integer_arithmetic import is_integer_arithmetic


def lower_extremum(lowering: Lowering, node: NodeProto, op: str) -> None:
    """Lower a Max or Min of two tensors: raw integers, or quantized values on one grid (then codes compare as reals do)."""
    lowering.require(node, len(node.input) == 2, f"it has {len(node.input)} inputs", "two at a time")
    if is_integer_arithmetic(lowering, node):
        names, output = list(node.input), node.output[0]
        types = {lowering.graph.dtype(name).name for name in [*names, output]}
        lowering.require(node, len(types) == 1, f"mixed types {', '.join(sorted(types))}", "Cast its inputs to one type")
    else:
        operands = [lowering.dequantized(node, 0), lowering.dequantized(node, 1)]
        result = lowering.quantized(node)
        names, output = [item.name for item in operands], result.name
        same = all((item.grid, item.dtype) == (result.grid, result.dtype) for item in operands)
        lowering.require(node, same, "its inputs and output do not lie on one grid", "give all three the same type, scale and zero point")
    inputs = [lowering.operand(name, output) for name in names]
    version = 1 if lowering.graph.dtype(output).itemsize == 4 else 2
    lowering.emit(node, op, inputs, [lowering.tensor(output)], version, options("MaximumMinimumOptions"))


@lowers("Max", emits=("MAXIMUM",), moves_codes=True, elementwise=True)
def lower_max(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Max."""
    lower_extremum(lowering, node, "MAXIMUM")
