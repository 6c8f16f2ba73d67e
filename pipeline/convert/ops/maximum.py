"""Max -> MAXIMUM."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import ADD, MAXIMUM, SUB, BuiltinOperator
from pipeline.convert.declaration import lowers
from pipeline.convert.integer_bounds import lower_bound
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.integer_arithmetic import is_integer_arithmetic


def lower_extremum(lowering: Lowering, node: NodeProto, builtin: BuiltinOperator) -> None:
    """Lower a Max or Min of two tensors: raw integers, or quantized values on one grid (then codes compare as reals do)."""
    lowering.require(node, len(node.input) == 2, f"it has {len(node.input)} inputs", "two at a time")
    if is_integer_arithmetic(lowering, node):
        if lower_bound(lowering, node):
            return
        names, output = list(node.input), node.output[0]
    else:
        operands = [lowering.dequantized(node, 0), lowering.dequantized(node, 1)]
        result = lowering.quantized(node)
        names, output = [item.name for item in operands], result.name
        on_one_grid = all((item.grid, item.dtype) == (result.grid, result.dtype) for item in operands)
        lowering.require(
            node, on_one_grid, "its inputs and output do not lie on one grid", "give all three the same type, scale and zero point"
        )
    inputs = [lowering.operand(name, output) for name in names]
    lowering.emit(node, builtin, inputs, [lowering.tensor(output)])


@lowers("Max", emits=(ADD, MAXIMUM, SUB), moves_codes=True, elementwise=True)
def lower_max(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Max."""
    lower_extremum(lowering, node, MAXIMUM)
