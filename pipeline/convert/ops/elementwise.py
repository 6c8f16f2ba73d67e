"""Quantized Add, Sub and Mul: DequantizeLinear, op, optional Relu, QuantizeLinear become one TFLite op."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import MUL, BuiltinOperator
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.integer_arithmetic import is_integer_arithmetic, lower_integer_arithmetic


def lower_elementwise(lowering: Lowering, node: NodeProto, builtin: BuiltinOperator) -> None:
    """Lower Add, Sub or Mul on two int8 or two int16 operands (one may be a constant), or on int32 integers.

    Shapes broadcast as in ONNX; of a rank-1 run-time operand only the one with a single element fits a body tensor.
    """
    if is_integer_arithmetic(lowering, node):
        lower_integer_arithmetic(lowering, node, builtin)
        return
    left, right = lowering.dequantized(node, 0), lowering.dequantized(node, 1)
    result = lowering.quantized(node, fuse_relu=True)
    rank = len(lowering.graph.shape(result.name))
    for operand in (left, right):
        shape = lowering.graph.shape(operand.name)
        fits = len(shape) == rank or int(np.prod(shape)) == 1 or operand.name in lowering.graph.constants
        lowering.require(
            node, fits, f"'{operand.name}' of shape {list(shape)} has another rank than its result", "keep the reduced axes (keepdims=1)"
        )
    options = {"fusedActivationFunction": result.activation}
    if builtin is not MUL:
        options["potScaleInt16"] = False  # int16 scales are any numbers, not powers of two alone
    inputs = [lowering.operand(item.name, result.name) for item in (left, right)]
    lowering.emit(node, builtin, inputs, [lowering.tensor(result.name)], **options)
