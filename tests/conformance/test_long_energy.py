"""The energy of more values than int32 holds the squares of: on a coarser grid, at full deflection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from pipeline.layers.channel_norm.quantized import energy_coarseness
from tests.conformance.case import Case
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite

SHAPE = (1, 3, 700, 96)
VALUES, ZERO_POINT, SCALE = 700 * 96, -128, np.float32(0.01)


def _case(coarseness: float) -> Case:
    """Sequences at the end of the grid that is 255 codes away, at random, and at their zero point."""
    case = Case(QdqGraph(), np.random.default_rng(0))
    g = case.graph
    x = g.dq(case.x("x", SHAPE), SCALE, ZERO_POINT)
    case.inputs["x"][0, 0], case.inputs["x"][0, 2] = 127, ZERO_POINT
    if coarseness > 1:
        grid = (np.float32(SCALE * np.float32(coarseness)), round(ZERO_POINT / coarseness))
        x = g.dq(g.q(x, *grid), *grid)
    energy = g.op("ReduceSumSquare", x, g.const([2, 3], np.int64), keepdims=1)
    coded = g.q(energy, VALUES * (255 * SCALE) ** 2 / 250, -128)
    g.op("Transpose", g.op("Reshape", coded, g.const([1, 3, 1], np.int64)), perm=[0, 2, 1], out="y")
    case.out("y", (1, 1, 3))
    return case


def test_every_runtime_has_the_energy_of_float(tmp_path: Path) -> None:
    case = _case(energy_coarseness(VALUES))
    convert(case.graph.save(tmp_path / "m.onnx", case.outputs), tmp_path / "m.tflite")
    expected = run_onnx(tmp_path / "m.onnx", case.inputs)["y"]
    exact = np.square(case.inputs["x"].astype(np.int64) - ZERO_POINT).sum((2, 3)) / (VALUES * 255**2) * 250 - 128
    np.testing.assert_allclose(expected[:, 0], exact, atol=1)
    results = {runtime: run_tflite(tmp_path / "m.tflite", runtime, case.inputs)["y"] for runtime in RUNTIMES}
    for runtime, result in results.items():
        allowed = 3 if runtime == "xnnpack" else 1  # it holds the ratio of the two grids in 8 fractional bits
        assert np.abs(result.astype(int) - expected).max() <= allowed, runtime
    np.testing.assert_array_equal(results["ref"], results["tflm"])


def test_the_fine_grid_is_refused(tmp_path: Path) -> None:
    case = _case(1.0)
    with pytest.raises(ConversionError, match="67200 squares of up to 255 codes overflow int32"):
        convert(case.graph.save(tmp_path / "m.onnx", case.outputs), tmp_path / "m.tflite")
