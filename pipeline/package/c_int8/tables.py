"""Functions of a code as tables: what TFLite's kernels compute in float while they load a file is computed here, on the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.package.c_int8.fixed_point import Codes, divide_by_power, fixed_point_factor, high_product, rescale, round_half_away

CODES: Codes = np.arange(-128, 128)
CodeTable = npt.NDArray[np.int8]
Grid = tuple[np.float32, int]
"""Scale and zero point."""
FloatFunction = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

_ROOT_SHIFT = 20
_ONE_HALF_ROOT_2 = 1518500250  # sqrt(1/2) in units of 2^-31
_EXP_OF_MINUS_EIGHTH = 1895147668  # exp(-1/8) in units of 2^-31
_THIRD = 715827883
_EXP_OF_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-2^k), k = -2..4, in units of 2^-31


def float_table(function: FloatFunction, x: Grid, y: Grid) -> CodeTable:
    """int8 [256] of a float function: codes to reals, the function, and back to codes, all in float32."""
    real = np.float32(x[0]) * (CODES - x[1]).astype(np.float32)
    codes = round_half_away(function(real) * (np.float32(1) / np.float32(y[0]))).astype(np.int64) + y[1]
    return clamp_int8(codes)


def logistic(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 / (1 + exp(−x)), each operation rounded to float32."""
    power = np.exp(np.minimum(-x.astype(np.float64), 88.0))  # beyond, the result is 0 of any grid and float32 overflows
    return np.float32(1) / (np.float32(1) + power.astype(np.float32))


def tanh(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The hyperbolic tangent, rounded to float32."""
    return np.tanh(x.astype(np.float64)).astype(np.float32)


def clamp_int8(codes: Codes) -> CodeTable:
    """Saturated to int8."""
    return np.clip(codes, -128, 127).astype(np.int8)


def reciprocal_root_table(x: Grid, y: Grid) -> CodeTable:
    """int8 [256] of RSQRT: an integer Newton iteration gives 1/√code, a second factor the scales; real 0 gives the highest code."""
    multiplier, shift = fixed_point_factor(1.0 / float(np.sqrt(np.float32(x[0])) * np.float32(y[0])))
    table = np.full(256, 127, np.int64)
    for place, value in enumerate((CODES - x[1]).tolist()):
        if value > 0:
            root, root_shift = _inverse_root(value)
            scaled = rescale(1, (root, root_shift + _ROOT_SHIFT))
            table[place] = rescale(scaled, (multiplier, shift - _ROOT_SHIFT)) + y[1]
    return clamp_int8(table)


def _inverse_root(value: int) -> tuple[int, int]:
    """1/√value as a factor. Source: TFLite's ``GetInvSqrtQuantizedMultiplierExp``: five Newton steps of x (3 − v x²) / 2 from 1, where v
    is the value brought to [1/4, 1) by a power of 4; codes of 28 fractional bits."""
    if value == 1:
        return 2**31 - 1, 0
    pairs = (31 - value.bit_length()) // 2 - 1
    half = int(divide_by_power((value << 2 * pairs) >> 1, 1))
    x = 1 << 28
    for _ in range(5):
        cube = int(high_product(high_product(x, x), x)) << 6
        x = (int(high_product((1 << 28) + (1 << 27), x)) - int(high_product(half, cube))) << 3
    return int(high_product(x, _ONE_HALF_ROOT_2)), pairs - 11


def exponentials(scale: np.float32) -> npt.NDArray[np.int32]:
    """int32 [256] of SOFTMAX: exp(−k · scale) in units of 2^−31, k the distance of a code from the highest; 0 where it does not count.

    Source: the reference kernel, whose input differences have 5 integer bits, and gemmlowp's ``exp_on_negative_values``.
    """
    multiplier, shift = fixed_point_factor(min(float(np.float32(scale)) * 2**26, 2.0**31 - 1))
    farthest = int(31 * 2**26 / 2**shift)
    table = np.zeros(256, np.int32)
    for distance in range(min(farthest, 255) + 1):
        table[distance] = _exponential(int(high_product(-distance << shift, multiplier)))
    return table


def _exponential(value: int) -> int:
    """exp of a value ≤ 0 in units of 2^−26, in units of 2^−31: a polynomial on [−1/4, 0) times exp of the powers of 2 that remain."""
    if value == 0:
        return 2**31 - 1
    quarter = 1 << 24
    within = (value & (quarter - 1)) - quarter
    x = (within << 5) + (1 << 28)
    square = int(high_product(x, x))
    cube, fourth = int(high_product(square, x)), int(high_product(square, square))
    tail = int(high_product(int(divide_by_power(fourth, 2)) + cube, _THIRD)) + square
    result = _EXP_OF_MINUS_EIGHTH + int(high_product(_EXP_OF_MINUS_EIGHTH, x + int(divide_by_power(tail, 1))))
    for power, factor in enumerate(_EXP_OF_MINUS_POWERS):
        if (within - value) & (quarter << power):
            result = int(high_product(result, factor))
    return result


def sigmoid_values() -> npt.NDArray[np.uint16]:
    """uint16 [256]: the logistic function of k/24 in units of 2^−16, between which the int16 kernels interpolate; the last stands for 1.

    Chords lie below the curve, so each value is raised by half of what the chord after it lacks in its middle.
    """
    x = np.arange(256) / 24
    lacking = _exact_logistic(x + 1 / 48) - (_exact_logistic(x) + _exact_logistic(x + 1 / 24)) / 2
    values = np.rint(65536 * (_exact_logistic(x) + lacking / 2))
    values[255] = 65535
    return values.astype(np.uint16)


def _exact_logistic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))
