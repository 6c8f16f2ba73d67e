"""LeakyRelus that are Relus on their grid: taken into the operator before them, and no code is changed by it, on any runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.convert.convert import convert
from pipeline.convert.flat_slopes import is_flat
from pipeline.convert.quantization import Quantization
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite

CODES = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
SCALE = 0.037


@given(st.floats(-0.1, 0.1), st.integers(-128, 127))
def test_flat_is_what_leaves_every_code_below_the_zero_point_at_it(slope: float, zero_point: int) -> None:
    below = np.arange(-128, zero_point) - zero_point
    products = np.abs(slope * below.astype(np.float64))
    assert is_flat(slope, Quantization((SCALE,), (zero_point,))) == bool((products < 0.5).all() and abs(slope) * (128 + zero_point) < 0.5)


def _graph(slope: float, zero_point: int, before: str, read_twice: bool = False, other_grid: bool = False) -> QdqGraph:
    g = QdqGraph()
    x = g.dq(g.input("x", CODES.shape), SCALE, zero_point)
    if before == "Conv":
        made = g.op("Conv", x, g.weight(np.array([[[127]]], np.int8), np.float32([1 / 127])))
    else:
        made = g.op("Add", x, g.dq(g.const(np.zeros((1, 1, 1), np.int8)), SCALE, 0))
    linear = g.q(made, SCALE, zero_point, out="linear")
    g.q(g.op("LeakyRelu", g.dq(linear, SCALE, zero_point), alpha=slope), SCALE * (2 if other_grid else 1), zero_point, out="y")
    if read_twice:
        g.q(g.op("LeakyRelu", g.dq(linear, SCALE, zero_point), alpha=0.7), SCALE, zero_point, out="z")
    return g


@pytest.mark.parametrize("before", ["Conv", "Add"])
@pytest.mark.parametrize(
    ("slope", "zero_point"), [(0.0038986, -1), (0.0038986, -100), (-0.0019, 127), (0.0078, -70), (0.05, -119), (1e-7, 0)]
)
def test_taken_in_bit_for_bit(before: str, slope: float, zero_point: int, tmp_path: Path) -> None:
    source = _graph(slope, zero_point, before).save(tmp_path / "m.onnx", {"y": ("int8", CODES.shape)})
    operator = {"Conv": "CONV_2D", "Add": "ADD"}[before]
    assert convert(source, tmp_path / "m.tflite").op_counts == {operator: 1}
    expected = run_onnx(source, {"x": CODES})["y"]
    assert set(np.unique(expected)) == set(range(zero_point, 128))
    for runtime in RUNTIMES:
        np.testing.assert_array_equal(run_tflite(tmp_path / "m.tflite", runtime, {"x": CODES})["y"], expected, err_msg=runtime)


@pytest.mark.parametrize("change", [{"read_twice": True}, {"other_grid": True}])
def test_not_where_another_reads_it_or_the_grid_changes(change: dict[str, bool], tmp_path: Path) -> None:
    outputs = dict.fromkeys(("y", "z")[: 1 + change.get("read_twice", False)], ("int8", CODES.shape))
    source = _graph(0.0038986, -100, "Conv", **change).save(tmp_path / "m.onnx", outputs)
    counts = convert(source, tmp_path / "m.tflite").op_counts
    assert counts["CONV_2D"] == 1 and len(counts) > 1
    expected = run_onnx(source, {"x": CODES})
    for runtime in RUNTIMES:
        found = run_tflite(tmp_path / "m.tflite", runtime, {"x": CODES})
        for name in outputs:
            assert np.abs(found[name].astype(int) - expected[name]).max() <= 1, (runtime, name)


@pytest.mark.parametrize("zero_point", [0, 5, 127])
def test_slopes_that_xnnpack_does_not_take_become_operators_that_it_takes(zero_point: int, tmp_path: Path) -> None:
    slope = 1 / 257
    assert not is_flat(slope, Quantization((SCALE,), (zero_point,))) or zero_point == 0
    source = _graph(slope, zero_point, "Conv", read_twice=True).save(tmp_path / "m.onnx", dict.fromkeys("yz", ("int8", CODES.shape)))
    counts = convert(source, tmp_path / "m.tflite").op_counts
    assert counts == {"CONV_2D": 1, "MUL": 1, "MAXIMUM": 1, "LEAKY_RELU": 1}
    expected = run_onnx(source, {"x": CODES})["y"]
    for runtime in RUNTIMES:
        np.testing.assert_array_equal(run_tflite(tmp_path / "m.tflite", runtime, {"x": CODES})["y"], expected, err_msg=runtime)
