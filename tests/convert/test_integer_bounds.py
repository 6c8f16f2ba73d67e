"""Bounds of large int32 tensors as differences: the same integers on every runtime, and operators of their own where they might wrap."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.convert.convert import convert
from pipeline.convert.graph import OnnxGraph
from pipeline.convert.integer_range import INT32, integer_range
from pipeline.convert.ops import DECLARATIONS
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_tflite

SHAPE = (1, 2048)
INT32_TYPE = 6


def _bounds(steps: tuple[tuple[str, int], ...], factor: int) -> QdqGraph:
    """int16 times ``factor``, and the bounds one after the other."""
    g = QdqGraph()
    value = g.op("Mul", g.op("Cast", g.input("x", SHAPE, "int16"), to=INT32_TYPE), g.const([factor], np.int32))
    for number, (op, bound) in enumerate(steps):
        value = g.op(op, value, g.const([bound], np.int32), out="y" if number == len(steps) - 1 else "")
    return g


@pytest.mark.parametrize(
    ("steps", "factor", "operators"),
    [
        ((("Min", 255),), 1, {"SUB": 2}),
        ((("Max", -70),), 1, {"SUB": 1, "ADD": 1}),
        ((("Min", 32767), ("Max", -32768)), 3, {"SUB": 3}),
        ((("Max", -5), ("Min", 90)), 3, {"SUB": 3, "ADD": 1}),
        ((("Min", -9), ("Max", 9)), 1, {"SUB": 3, "ADD": 1}),  # the bounds cross
        ((("Min", 2**31 - 1),), 40_000, {"MINIMUM": 1}),  # the difference would leave int32
        ((("Max", -(2**31) + 1),), 40_000, {"MAXIMUM": 1}),
    ],
)
def test_the_same_integers(steps: tuple[tuple[str, int], ...], factor: int, operators: dict[str, int], tmp_path: Path) -> None:
    x = np.linspace(-32768, 32767, SHAPE[1]).astype(np.int16).reshape(SHAPE)
    source = _bounds(steps, factor).save(tmp_path / "m.onnx", {"y": ("int32", SHAPE)})
    assert convert(source, tmp_path / "m.tflite").op_counts == {"CAST": 1, "MUL": 1, **operators}
    expected = x.astype(np.int32) * factor
    for op, bound in steps:
        expected = {"Min": np.minimum, "Max": np.maximum}[op](expected, bound)
    for runtime in RUNTIMES:
        np.testing.assert_array_equal(run_tflite(tmp_path / "m.tflite", runtime, {"x": x})["y"], expected, err_msg=runtime)


def test_small_tensors_keep_their_operator(tmp_path: Path) -> None:
    g = QdqGraph()
    g.op("Min", g.op("Cast", g.input("x", (1, 8), "int16"), to=INT32_TYPE), g.const([3], np.int32), out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int32", (1, 8))})
    assert convert(source, tmp_path / "m.tflite").op_counts == {"CAST": 1, "MINIMUM": 1}


def _read(g: QdqGraph, name: str, shape: tuple[int, ...]) -> OnnxGraph:
    with tempfile.TemporaryDirectory() as folder:
        return OnnxGraph.read(g.save(Path(folder) / "m.onnx", {name: ("int32", shape)}), DECLARATIONS)


OPERATIONS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Min": np.minimum, "Max": np.maximum}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*OPERATIONS, "Div"]), st.integers(-40, 300)), max_size=5), st.integers(0, 2**32 - 1))
def test_a_range_holds_every_value(steps: list[tuple[str, int]], seed: int) -> None:
    g = QdqGraph()
    x = np.random.default_rng(seed).integers(-128, 128, 64)
    x[:2] = -128, 127
    name, value = g.op("Cast", g.input("x", (64,), "int8"), to=INT32_TYPE), x
    for op, number in steps:
        divisor = max(1, abs(number)) if op == "Div" else number
        name = g.op(op, name, g.const([divisor], np.int32))
        value = np.trunc(value / divisor).astype(np.int64) if op == "Div" else OPERATIONS[op](value, number)
        value = value.astype(np.int32).astype(np.int64)  # wraps as the kernels do
    low, high = integer_range(_read(g, name, (64,)), name)
    assert low <= value.min() and value.max() <= high
    if all(op in ("Add", "Sub", "Min", "Max") for op, _ in steps):
        assert (low, high) == (value.min(), value.max()), "both ends are taken"


def test_what_may_wrap_has_all_of_int32() -> None:
    g = QdqGraph()
    wide = g.op("Cast", g.input("x", (4,), "int16"), to=INT32_TYPE)
    name = g.op("Mul", g.op("Mul", wide, wide), g.const([3], np.int32))
    assert integer_range(_read(g, name, (4,)), name) == INT32
