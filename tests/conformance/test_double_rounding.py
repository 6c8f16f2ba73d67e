"""The near gate's exceptions have one cause: BUILTIN_REF and TFLM round a product twice. Shown against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.convert.convert import convert
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import run_onnx, run_tflite

VALUES = 8000


def _half_away(value: Fraction) -> int:
    magnitude = math.floor(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


def _rounded_twice(code: int, multiplier: float) -> int:
    """multiplier = fraction / 2^shift with a fraction of 31 bits in [0.5, 1): the product with the fraction is rounded, then the shift."""
    fraction, exponent = math.frexp(multiplier)
    first = _half_away(Fraction(code) * Fraction(round(fraction * 2**31), 2**31))
    return _half_away(Fraction(first, 2**-exponent))


@pytest.mark.parametrize("shift", [0, 1, 2, 4, 6, 8])
def test_share_of_twice_rounded_values_is_half_of_two_to_the_minus_shift(shift: int, tmp_path: Path) -> None:
    multiplier = float(np.float32(0.8137 * 2.0**-shift))
    span = int(127 / multiplier)
    codes = np.random.default_rng(shift).integers(-span, span, (1, 1, VALUES)).astype(np.int16)
    g = QdqGraph()
    g.q(g.dq(g.input("x", codes.shape, "int16"), multiplier, 0, "int16"), 1.0, 0, out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int8", codes.shape)})
    convert(source, tmp_path / "m.tflite")
    once = run_onnx(source, {"x": codes})["y"].ravel()
    twice = [_rounded_twice(int(code), multiplier) for code in codes.ravel()]
    for runtime in ("ref", "tflm"):
        found = run_tflite(tmp_path / "m.tflite", runtime, {"x": codes})["y"].ravel()
        np.testing.assert_array_equal(found, twice)
        assert np.abs(found.astype(int) - once).max() <= 1
        expected = 2.0 ** -(shift + 1) if shift else 0.0
        assert (found != once).mean() == pytest.approx(expected, rel=0.25, abs=0.001)
