"""BATCH_MATMUL."""

from __future__ import annotations

import math

import numpy as np

from pipeline.package.c_int8.fixed_point import INT32_MAX, fixed_point_factor
from pipeline.package.c_int8.flatbuffer_reader import Operator
from pipeline.package.c_int8.lowering import Lowering, result_grid, tensors
from pipeline.package.c_int8.program import Parameters


def lower_batch_matmul(lowering: Lowering, operator: Operator) -> None:
    """int8 by int8, the second operand transposed or not; the product of the scales is formed in float32, as LiteRT does."""
    lowering.types(operator, ("int8", "int8", "int8"))
    a, b = tensors(operator)
    y = operator.outputs[0]
    lowering.require(operator, not operator.option("adjX", False), "its first operand is transposed", "a first operand as it is")
    turned = operator.option("adjY", False)
    depth, columns = (b.shape[-1], b.shape[-2]) if turned else (b.shape[-2], b.shape[-1])
    batches, a_batches, b_batches = (math.prod(tensor.shape[:-2]) for tensor in (y, a, b))
    for tensor, count in ((a, a_batches), (b, b_batches)):
        lowering.require(operator, count in (1, batches), f"{tensor} has other batches than {y}", "equal batches, or one")
    lowering.require(operator, depth * 255**2 <= INT32_MAX, f"sums of {depth} products may overflow int32", "fewer products a sum")
    multiplier, shift = fixed_point_factor(float(np.float32(a.scale) * np.float32(b.scale)) / float(y.scale))
    parameters = Parameters.of(
        "fq_batch_matmul",
        batches=batches,
        rows=a.shape[-2],
        columns=columns,
        depth=depth,
        a_batch_step=0 if a_batches == 1 else a.shape[-2] * depth,
        b_batch_step=0 if b_batches == 1 else columns * depth,
        a_zero_point=a.zero_point,
        b_zero_point=b.zero_point,
        multiplier=multiplier,
        shift=shift,
        y=result_grid(operator),
    )
    if turned:
        lowering.emit("fq_batch_matmul_transposed_s8", parameters, (a, b), y, scratch=4 * columns)
    else:
        lowering.emit("fq_batch_matmul_s8", parameters, (a, b), y)
