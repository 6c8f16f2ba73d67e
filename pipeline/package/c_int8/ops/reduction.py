"""AVERAGE_POOL_2D and MEAN."""

from __future__ import annotations

import math
from itertools import groupby

from pipeline.package.c_int8.axes import leading, steps_of
from pipeline.package.c_int8.fixed_point import fixed_point_factor
from pipeline.package.c_int8.flatbuffer_reader import Operator
from pipeline.package.c_int8.lowering import Lowering, grid, result_grid, tensors
from pipeline.package.c_int8.ops.convolution import window
from pipeline.package.c_int8.program import Parameters


def lower_average_pool_2d(lowering: Lowering, operator: Operator) -> None:
    """int8 or int16, on one grid."""
    dtype = lowering.types(operator, ("int8", "int8"), ("int16", "int16"))[0]
    (x,), y = tensors(operator), operator.outputs[0]
    lowering.require(operator, grid(x) == grid(y), "input and output have different grids", "one grid")
    kernel = (operator.option("filterHeight", 1), operator.option("filterWidth", 1))
    parameters = Parameters.of("fq_average_pool", window=window(operator, x, kernel, y, (1, 1)), y=result_grid(operator))
    lowering.emit(f"fq_average_pool_{'s8' if dtype == 'int8' else 's16'}", parameters, (x,), y)


def lower_mean(lowering: Lowering, operator: Operator) -> None:
    """int8 or int16, over any axes."""
    dtype = lowering.types(operator, ("int8", "int32", "int8"), ("int16", "int32", "int16"))[0]
    (x, _), y = tensors(operator), operator.outputs[0]
    rank = len(x.shape)
    reduced = {int(axis) % rank for axis in lowering.value(operator, 1).reshape(-1)}
    multiplier, shift = _mean_factor(fixed_point_factor(float(x.scale) / float(y.scale)), math.prod(x.shape[axis] for axis in reduced))
    groups: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    steps = steps_of(x.shape)
    for is_reduced, axes in groupby((axis for axis in range(rank) if x.shape[axis] != 1), key=lambda axis: axis in reduced):
        joined = list(axes)
        groups[is_reduced].append((math.prod(x.shape[axis] for axis in joined), steps[joined[-1]]))
    parameters = Parameters.of(
        "fq_mean",
        kept=leading([size for size, _ in groups[False]], 1, 3),
        kept_step=leading([step for _, step in groups[False]], 0, 3),
        reduced=leading([size for size, _ in groups[True]], 1, 3),
        reduced_step=leading([step for _, step in groups[True]], 0, 3),
        x_zero_point=x.zero_point,
        y_zero_point=y.zero_point,
        multiplier=multiplier,
        shift=shift,
    )
    lowering.emit(f"fq_mean_{'s8' if dtype == 'int8' else 's16'}", parameters, (x,), y)


def _mean_factor(factor: tuple[int, int], count: int) -> tuple[int, int]:
    """The factor divided by the number of values, as the kernels do it: cut off at 31 bits, a trifle too small."""
    multiplier, shift = factor
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits
