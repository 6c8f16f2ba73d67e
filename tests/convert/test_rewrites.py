"""Other forms of operators for a target's kernels: not a code is changed by them, but where a LEAKY_RELU would round twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.model_file import read_model
from edge_runtime.tflm import TflmEngine
from export_specs.schema import Rewrite
from pipeline.convert.convert import convert
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import deployed
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_tflite
from tests.tiny import mixtures, quantized_network, tiny_spec

CHANNELS, SCALE, ZERO = 8, 0.05, -20
ALL: tuple[Rewrite, ...] = ("fold-dilation", "depthwise-products", "parts-apart", "turned-operands")


def _same(
    source: Path, rewrite: Rewrite, inputs: dict[str, np.ndarray], outputs: list[str], runtimes: Sequence[str] = RUNTIMES
) -> tuple[dict[str, int], dict[str, int]]:
    """The operators without and with the rewrite, after their codes have been found equal on the runtimes."""
    plain, other = source.with_name("plain.tflite"), source.with_name("other.tflite")
    before, after = convert(source, plain).op_counts, convert(source, other, rewrites=[rewrite]).op_counts
    for runtime in runtimes:
        expected, found = run_tflite(plain, runtime, inputs), run_tflite(other, runtime, inputs)
        for name in outputs:
            assert len(np.unique(expected[name])) > 20
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{runtime} {name}")
    return before, after


@pytest.mark.parametrize(
    ("frames", "dilation", "pads"), [(24, 4, (4, 4)), (23, 4, (4, 4)), (23, 8, (16, 0)), (24, 3, (0, 0)), (29, 2, (4, 0))]
)
def test_dilation_is_folded(frames: int, dilation: int, pads: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    g = QdqGraph()
    x = g.dq(g.input("x", (1, CHANNELS, frames)), SCALE, ZERO)
    weight = g.weight(rng.integers(-127, 128, (CHANNELS, 1, 3)).astype(np.int8), rng.uniform(0.005, 0.02, CHANNELS).astype(np.float32))
    made = g.op("Conv", x, weight, group=CHANNELS, dilations=[dilation], pads=list(pads))
    g.q(made, 0.08, 11, out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int8", (1, CHANNELS, frames + sum(pads) - 2 * dilation))})
    inputs = {"x": rng.integers(-128, 128, (1, CHANNELS, frames)).astype(np.int8)}
    before, after = _same(source, "fold-dilation", inputs, ["y"])
    assert "RESHAPE" not in before and after["RESHAPE"] == 2 and after["DEPTHWISE_CONV_2D"] == 1


@pytest.mark.parametrize("slope", [0.25, 0.07, -0.3])
def test_products_are_convolutions(slope: float, tmp_path: Path) -> None:
    g = QdqGraph()
    x = g.dq(g.input("x", (1, CHANNELS, 256)), SCALE, ZERO)
    g.q(g.op("LeakyRelu", x, alpha=slope), SCALE, ZERO, out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int8", (1, CHANNELS, 256))})
    inputs = {"x": np.broadcast_to(np.arange(-128, 128, dtype=np.int8), (1, CHANNELS, 256)).copy()}
    # LiteRT's optimised kernels round a convolution otherwise than a product
    before, after = _same(source, "depthwise-products", inputs, ["y"], ("ref", "tflm"))
    assert before == {"MUL": 1, "MAXIMUM": 1} and after == {"DEPTHWISE_CONV_2D": 1, "MAXIMUM": 1}


def test_parts_are_computed_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    g = QdqGraph()
    x = g.dq(g.input("x", (1, CHANNELS, 30)), SCALE, ZERO)
    scale = rng.uniform(0.005, 0.02, 6).astype(np.float32)
    bias = g.dq(g.const(rng.integers(-900, 900, 6).astype(np.int32)), (scale * np.float32(SCALE)).astype(np.float32), 0, "int32")
    whole = g.q(g.op("Conv", x, g.weight(rng.integers(-127, 128, (6, CHANNELS, 1)).astype(np.int8), scale), bias), 0.08, 11)
    for index in range(2):
        bounds = [g.const([value], np.int64) for value in (3 * index, 3 * index + 3, 1)]
        part = g.op("Slice", whole, *bounds)
        g.q(g.op("Add", g.dq(part, 0.08, 11), g.dq(part, 0.08, 11)), 0.16, 11, out=f"y{index}")
    source = g.save(tmp_path / "m.onnx", {f"y{index}": ("int8", (1, 3, 30)) for index in range(2)})
    inputs = {"x": rng.integers(-128, 128, (1, CHANNELS, 30)).astype(np.int8)}
    before, after = _same(source, "parts-apart", inputs, ["y0", "y1"])
    assert before == {"CONV_2D": 1, "SLICE": 2, "ADD": 2} and after == {"CONV_2D": 2, "ADD": 2}


def test_second_operands_are_turned(tmp_path: Path) -> None:
    """Values that two products read are turned once, and TFLM keeps no copy of them."""
    rng, shapes = np.random.default_rng(0), {"weights": (1, 3, 40, 30), "values": (1, 3, 30, 200)}
    g = QdqGraph()
    left, right = (g.dq(g.input(name, shape), SCALE, ZERO) for name, shape in shapes.items())
    for name, first in (("y", left), ("z", left)):
        g.q(g.op("MatMul", first, right), 0.7, 11, out=name)
    source = g.save(tmp_path / "m.onnx", dict.fromkeys(("y", "z"), ("int8", (1, 3, 40, 200))))
    inputs = {name: rng.integers(-128, 128, shape).astype(np.int8) for name, shape in shapes.items()}
    before, after = _same(source, "turned-operands", inputs, ["y", "z"])
    assert before == {"BATCH_MATMUL": 2} and after == {"BATCH_MATMUL": 2, "TRANSPOSE": 1}
    arenas = [TflmEngine(read_model(tmp_path / f"{name}.tflite")).arena_bytes or 0 for name in ("plain", "other")]
    assert abs(arenas[0] - arenas[1] - 2 * 3 * 30 * 200) < 1024


@pytest.mark.parametrize("slope", [0.0312, -0.0547])
def test_products_take_the_place_of_a_leaky_relu(slope: float, tmp_path: Path) -> None:
    """One rounding as in ONNX Runtime (tests/conformance/test_steep_prelu.py), so at most one LSB from the operator."""
    g = QdqGraph()
    g.q(g.op("LeakyRelu", g.dq(g.input("x", (1, CHANNELS, 256)), SCALE, ZERO), alpha=slope), SCALE, ZERO, out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int8", (1, CHANNELS, 256))})
    inputs = {"x": np.broadcast_to(np.arange(-128, 128, dtype=np.int8), (1, CHANNELS, 256)).copy()}
    plain, other = tmp_path / "plain.tflite", tmp_path / "other.tflite"
    assert convert(source, plain).op_counts == {"LEAKY_RELU": 1}
    assert convert(source, other, rewrites=["depthwise-products"]).op_counts == {"DEPTHWISE_CONV_2D": 1, "MAXIMUM": 1}
    expected, found = (run_tflite(path, "ref", inputs)["y"].astype(int) for path in (plain, other))
    np.testing.assert_array_equal(found, run_tflite(other, "tflm", inputs)["y"])
    assert np.abs(found - expected).max() == 1


@pytest.mark.parametrize("slope", [0.582, -0.9, 1.5])
def test_slopes_from_one_half_on_stay_a_leaky_relu(slope: float, tmp_path: Path) -> None:
    """It rounds once there, and a product would round to 1/128 first."""
    g = QdqGraph()
    g.q(g.op("LeakyRelu", g.dq(g.input("x", (1, CHANNELS, 256)), SCALE, ZERO), alpha=slope), SCALE, ZERO, out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int8", (1, CHANNELS, 256))})
    assert convert(source, tmp_path / "m.tflite", rewrites=["depthwise-products"]).op_counts == {"LEAKY_RELU": 1}


def test_a_network_with_all_of_them(tmp_path: Path) -> None:
    spec = tiny_spec()
    deployed(quantized_network(spec, Recipe("fqss", "runtime-filter")), spec, tmp_path)
    source = tmp_path / "model.qdq.onnx"
    counts = convert(source, tmp_path / "other.tflite", rewrites=ALL).op_counts
    assert counts["RESHAPE"] > convert(source, tmp_path / "plain.tflite").op_counts["RESHAPE"]
    pcm = (mixtures(spec, 1)[0] * 32768).numpy().astype(np.int16).reshape(1, -1)
    for runtime in ("ref", "tflm"):
        expected, found = (run_tflite(tmp_path / f"{name}.tflite", runtime, {"pcm": pcm}) for name in ("plain", "other"))
        for name, codes in expected.items():
            assert codes.any()
            np.testing.assert_array_equal(found[name], codes, err_msg=runtime)
