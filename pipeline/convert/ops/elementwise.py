"""Quantized Add, Sub and Mul: DequantizeLinear, op, optional Relu, QuantizeLinear become one TFLite op."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.flatbuffer import options
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.integer_arithmetic import is_integer_arithmetic, lower_integer_arithmetic


def lower_elementwise(lowering: Lowering, node: NodeProto, int16_version: int) -> None:
    """Lower Add, Sub or Mul on two int8 or two int16 operands (one may be a constant), or on int32 integers.

    Shapes broadcast as in ONNX; of a rank-1 run-time operand only the one with a single element fits a body tensor.
    """
    if is_integer_arithmetic(lowering, node):
        lower_integer_arithmetic(lowering, node)
        return
    left, right = lowering.dequantized(node, 0), lowering.dequantized(node, 1)
    result = lowering.quantized(node, fuse_relu=True)
    lowering.require_types(node, (np.int8, np.int16), left, right, result)
    rank = len(lowering.graph.shape(result.name))
    for operand in (left, right):
        shape = lowering.graph.shape(operand.name)
        fits = len(shape) == rank or int(np.prod(shape)) == 1 or operand.name in lowering.graph.constants
        lowering.require(
            node, fits, f"'{operand.name}' of shape {list(shape)} has another rank than its result", "keep the reduced axes (keepdims=1)"
        )
    table = options(f"{node.op_type}Options", fusedActivationFunction=result.activation)
    if hasattr(table, "potScaleInt16"):
        table.potScaleInt16 = False
    inputs = [lowering.operand(item.name, result.name) for item in (left, right)]
    version = 2 if result.dtype == np.int8 else int16_version
    lowering.emit(node, node.op_type.upper(), inputs, [lowering.tensor(result.name)], version, table)
