"""Functions of an int8 code by a table, and of an int16 code by interpolation in one."""

from __future__ import annotations

import math

import numpy as np

from pipeline.package.c_int8.fixed_point import Codes, fixed_point_factor, rescale
from pipeline.package.c_int8.flatbuffer_reader import Operator, Tensor
from pipeline.package.c_int8.lowering import Lowering, grid, tensors
from pipeline.package.c_int8.program import Constant, Parameters
from pipeline.package.c_int8.tables import (
    CODES,
    CodeTable,
    FloatFunction,
    clamp_int8,
    exponentials,
    float_table,
    logistic,
    reciprocal_root_table,
    sigmoid_values,
    tanh,
)

_INT16_FRACTION = 12  # fractional bits of the int16 kernels' own inputs


def emit_table(lowering: Lowering, x: Tensor, table: Codes | CodeTable, y: Tensor) -> None:
    """y = table[x + 128]."""
    codes = Constant.of(np.asarray(table).astype(np.int8))
    lowering.emit("fq_map_s8", Parameters.of("fq_count", count=y.size), (x, codes), y, in_place=(x,))


def lower_logistic(lowering: Lowering, operator: Operator) -> None:
    """The logistic function on int8 or int16."""
    _lower_float(lowering, operator, logistic, "fq_logistic_s16", 1)


def lower_tanh(lowering: Lowering, operator: Operator) -> None:
    """The hyperbolic tangent on int8 or int16."""
    _lower_float(lowering, operator, tanh, "fq_tanh_s16", 2)


def _lower_float(lowering: Lowering, operator: Operator, function: FloatFunction, int16_kernel: str, plain_shifts: int) -> None:
    dtype = lowering.types(operator, ("int8", "int8"), ("int16", "int16"))[0]
    (x,), y = tensors(operator), operator.outputs[0]
    if dtype == "int8":
        emit_table(lowering, x, float_table(function, grid(x), grid(y)), y)
        return
    multiplier, shift = _int16_factor(x.scale, plain_shifts)
    fields = {"count": y.size, "multiplier": multiplier, "shift": shift}
    parameters = Parameters.of("fq_sigmoid", **fields, table=Constant.of(sigmoid_values()))
    lowering.emit(int16_kernel, parameters, (x,), y, in_place=(x,))


def _int16_factor(scale: np.float32, plain_shifts: int) -> tuple[int, int]:
    """The factor from the input's scale to 1/(3 · 4096): 3 · 2^n for the first powers of two, else 15 bits that are cut off."""
    exponent = math.log2(scale)
    power = _INT16_FRACTION + round(exponent)
    if abs(exponent - round(exponent)) < 1e-3 and 0 <= power < plain_shifts:
        return 3 << power, 0
    multiplier, shift = float(scale) * 2**_INT16_FRACTION * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    return int(multiplier), shift


def lower_rsqrt(lowering: Lowering, operator: Operator) -> None:
    """1/√x on int8."""
    lowering.types(operator, ("int8", "int8"))
    (x,), y = tensors(operator), operator.outputs[0]
    emit_table(lowering, x, reciprocal_root_table(grid(x), grid(y)), y)


def lower_leaky_relu(lowering: Lowering, operator: Operator) -> None:
    """x, or alpha · x below 0, on int8; both factors are formed in float32."""
    lowering.types(operator, ("int8", "int8"))
    (x,), y = tensors(operator), operator.outputs[0]
    value = CODES - x.zero_point
    rising = fixed_point_factor(float(x.scale / y.scale))
    falling = fixed_point_factor(float(x.scale * np.float32(operator.option("alpha", 0.0)) / y.scale))
    codes = np.where(value >= 0, rescale(value, rising), rescale(value, falling)) + y.zero_point
    emit_table(lowering, x, clamp_int8(codes), y)


def lower_softmax(lowering: Lowering, operator: Operator) -> None:
    """Over the last axis, from int8 to int8 or int16."""
    result = lowering.types(operator, ("int8", "int8"), ("int8", "int16"))[1]
    (x,), y = tensors(operator), operator.outputs[0]
    lowering.require(operator, operator.option("beta", 1.0) == 1.0, "its beta is not 1", "beta 1")
    parameters = Parameters.of("fq_softmax", rows=x.size // x.shape[-1], depth=x.shape[-1], exponentials=Constant.of(exponentials(x.scale)))
    lowering.emit(f"fq_softmax_s8_{'s8' if result == 'int8' else 's16'}", parameters, (x,), y)
