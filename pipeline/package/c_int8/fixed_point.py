"""The integer arithmetic of TFLite's reference kernels, on arrays; ``kernels/fixed_point.h`` is the same in C.

A real factor is written multiplier · 2^(shift − 31), multiplier in [2^30, 2^31), and what it multiplies is rounded twice. Factors are
computed here, in double or single precision as each kernel of LiteRT does, so that the device needs integers alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
INT32_MAX = 2**31 - 1


def round_half_away(value: npt.ArrayLike) -> Any:
    """To the nearest whole number, ties away from 0 (C's ``round``)."""
    value = np.asarray(value)
    return np.trunc(value + np.copysign(np.asarray(0.5, value.dtype), value))


def fixed_point_factor(factor: float) -> tuple[int, int]:
    """A real factor as (multiplier, shift). Source: TFLite's ``QuantizeMultiplier``."""
    if factor == 0:
        return 0, 0
    mantissa, shift = math.frexp(factor)
    multiplier = int(round_half_away(np.float64(mantissa * 2**31)))
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def high_product(value: npt.ArrayLike, multiplier: int) -> Codes:
    """value · multiplier / 2^31 to the nearest, ties upwards."""
    return (np.asarray(value, np.int64) * multiplier + (1 << 30)) >> 31


def divide_by_power(value: npt.ArrayLike, exponent: int) -> Codes:
    """value / 2^exponent to the nearest, ties away from 0."""
    value = np.asarray(value, np.int64)
    mask = (1 << exponent) - 1
    return (value >> exponent) + ((value & mask) > (mask >> 1) + (value < 0))


def rescale(value: npt.ArrayLike, factor: tuple[int, int]) -> Codes:
    """value times a factor as :func:`fixed_point_factor` gives it."""
    multiplier, shift = factor
    left = max(shift, 0)
    return divide_by_power(high_product(np.asarray(value, np.int64) << left, multiplier), left - shift)
