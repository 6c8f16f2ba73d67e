"""Sums, products and functions of codes, over all codes or pairs of codes, on random grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.convert import builtin_operators as operators
from pipeline.convert.builtin_operators import BuiltinOperator
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.layout import lay_out
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS
from tests.c_int8.kernel_library import KernelLibrary, assert_equal_to_reference
from tests.c_int8.one_operator import Given, codes, constant, quick, scales, seeds, write_operator, zero_points

ALL = np.arange(-128, 128, dtype=np.int8)
ARITHMETIC = (operators.ADD, operators.SUB, operators.MUL)


def _options(builtin: BuiltinOperator, activation: int = 0) -> dict[str, object]:
    return {"fusedActivationFunction": activation, **({} if builtin is operators.MUL else {"potScaleInt16": False})}


@pytest.mark.parametrize("builtin", ARITHMETIC, ids=lambda item: item.name)
@quick
@given(
    grids=st.tuples(scales, scales, scales),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    activation=st.sampled_from([0, 0, 1, 3]),
)
def test_all_pairs_of_codes(
    builtin: BuiltinOperator, grids: tuple, zeros: tuple, activation: int, library: KernelLibrary, tmp_path: Path
) -> None:
    y_scale = grids[2] if builtin is not operators.MUL else grids[0] * grids[1] * 10 ** grids[2] * 30
    shapes = ((256, 1), (1, 256), (256, 256))
    a, b, y = (Given(shape, "int8", scale, zero) for shape, scale, zero in zip(shapes, (*grids[:2], y_scale), zeros, strict=True))
    file = write_operator(tmp_path / "x.tflite", builtin, [a, b], [y], **_options(builtin, activation))
    assert_equal_to_reference(library, file, [ALL[:, None], ALL[None]])


@pytest.mark.parametrize("builtin", ARITHMETIC, ids=lambda item: item.name)
@pytest.mark.parametrize("form", ["full", "scalar", "scalar first", "constant", "constant first", "channels", "rows", "middle"])
@quick
@given(seed=seeds)
def test_large_tensors_in_every_way_that_operands_are_repeated(
    builtin: BuiltinOperator, form: str, seed: int, library: KernelLibrary, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(20, 50)), int(rng.integers(1, 4)), int(rng.integers(20, 90)))
    other = {"full": shape, "channels": (shape[3],), "rows": (1, shape[1], 1, 1), "middle": (1, 1, shape[2], 1)}.get(form, (1,))
    s_a, s_b = (float(np.exp(rng.uniform(-6, -1))) for _ in range(2))
    s_y = s_a * s_b * float(rng.uniform(20, 200)) if builtin is operators.MUL else max(s_a, s_b) * float(rng.uniform(0.3, 3))
    zeros = rng.integers(-128, 128, 3).tolist()
    a = Given(shape, "int8", s_a, zeros[0])
    b = Given(other, "int8", s_b, zeros[1], codes(rng, other) if "constant" in form else None)
    operands = [b, a] if "first" in form else [a, b]
    file = write_operator(tmp_path / "x.tflite", builtin, operands, [Given(shape, "int8", s_y, zeros[2])], **_options(builtin))
    assert_equal_to_reference(library, file, [codes(rng, item.shape) for item in operands if item.data is None])


@pytest.mark.parametrize("builtin", ARITHMETIC, ids=lambda item: item.name)
@quick
@given(seed=seeds)
def test_int16(builtin: BuiltinOperator, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 60)), int(rng.integers(1, 60)))
    s_a, s_b = (float(np.exp(rng.uniform(-12, -7))) for _ in range(2))
    s_y = s_a * s_b * 2.0 ** rng.uniform(13, 16) if builtin is operators.MUL else max(s_a, s_b) * float(rng.uniform(0.7, 3))
    a, b, y = (Given(shape, "int16", scale, 0) for scale in (s_a, s_b, s_y))
    file = write_operator(tmp_path / "x.tflite", builtin, [a, b], [y], **_options(builtin))
    assert_equal_to_reference(library, file, [codes(rng, shape, "int16"), codes(rng, shape, "int16")])


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "RSQRT", "LEAKY_RELU", "QUANTIZE"])
@quick
@given(s_x=scales, z_x=zero_points, factor=st.floats(0.3, 3), z_y=zero_points, alpha=st.floats(-0.3, 1))
def test_all_codes(name: str, s_x: float, z_x: int, factor: float, z_y: int, alpha: float, library: KernelLibrary, tmp_path: Path) -> None:
    grid = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "RSQRT": (factor / np.sqrt(s_x) / 20, z_y)}.get(name, (s_x * factor, z_y))
    if name == "RSQRT":
        z_x = -128  # the kernel refuses negative values
    options = {"alpha": float(np.float32(alpha))} if name == "LEAKY_RELU" else {}
    x, y = Given((256,), "int8", s_x, z_x), Given((256,), "int8", *grid)
    file = write_operator(tmp_path / "x.tflite", getattr(operators, name), [x], [y], **options)
    assert_equal_to_reference(library, file, [ALL])


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("side", [-1, 1])
def test_codes_as_near_to_a_tie_as_training_leaves_them(name: str, side: int, library: KernelLibrary, tmp_path: Path) -> None:
    """Nearer than 2^-13 of a step, which training does not leave any, LiteRT and TFLM differ (docs/adr/0020-ties-of-tables.md)."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        code, middle = int(rng.integers(1, 128)), int(rng.integers(64, 127)) + 0.5 + side * 2.0**-12
        real = np.log(middle / 128 / (2 - middle / 128)) if name == "LOGISTIC" else np.arctanh(middle / 128)
        x = Given((256,), "int8", float(np.float32(abs(real) / code)), 0)
        exact = 256 / (1 + np.exp(-x.scale * ALL)) if name == "LOGISTIC" else 128 * np.tanh(x.scale * ALL)
        if np.abs(exact - np.floor(exact) - 0.5).min() < 2.0**-13:
            continue
        y = Given((256,), "int8", *((1 / 256, -128) if name == "LOGISTIC" else (1 / 128, 0)))
        file = write_operator(tmp_path / "x.tflite", getattr(operators, name), [x], [y])
        assert_equal_to_reference(library, file, [ALL])


def test_logistic_next_to_a_tie_rounds_as_float32_does(library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        code, middle = int(rng.integers(1, 128)), (int(rng.integers(129, 255)) + 0.5) / 256
        x = Given((256,), "int8", float(np.float32(np.log(middle / (1 - middle)) / code)), 0)
        file = write_operator(tmp_path / "x.tflite", operators.LOGISTIC, [x], [Given((256,), "int8", 1 / 256, -128)])
        assert_equal_to_reference(library, file, [ALL])


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("scale", [2.0**-13, 2.0**-12, 2.0**-11, 2.0**-10, 2.0**-8, 3.1e-4, 1.7e-3, 1e-5])
def test_all_int16_codes(name: str, scale: float, library: KernelLibrary, tmp_path: Path) -> None:
    every = np.arange(-32768, 32768, dtype=np.int16)
    grids = [Given((65536,), "int16", scale, 0), Given((65536,), "int16", 2.0**-15, 0)]
    file = write_operator(tmp_path / "x.tflite", getattr(operators, name), grids[:1], grids[1:])
    assert_equal_to_reference(library, file, [every])


@pytest.mark.parametrize(
    ("source", "target"), [("int8", "int16"), ("int16", "int8"), ("int16", "int16"), ("int32", "int8"), ("int32", "int16")]
)
@quick
@given(seed=seeds)
def test_requantize(source: str, target: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    bits = {"int8": 8, "int16": 16, "int32": 32}
    s_x = float(np.exp(rng.uniform(-8, -2)))
    s_y = s_x * 2.0 ** (bits[source] - bits[target]) * float(rng.uniform(0.51, 3))
    zeros = [int(rng.integers(-128, 128)) if dtype == "int8" else 0 for dtype in (source, target)]
    shape = (int(rng.integers(1, 3000)),)
    x, y = Given(shape, source, s_x, zeros[0]), Given(shape, target, s_y, zeros[1])
    file = write_operator(tmp_path / "x.tflite", operators.QUANTIZE, [x], [y])
    assert_equal_to_reference(library, file, [codes(rng, shape, source)])


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "LESS"])
@quick
@given(seed=seeds)
def test_integers(name: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 8, 4)]
    shapes = [tuple(1 if rng.random() < 0.4 else size for size in sizes) for _ in range(2)]
    limit = 40000 if name == "MUL" else 2**30
    a, b = (rng.integers(-limit, limit, shape, dtype=np.int32) for shape in shapes)
    if name == "DIV":
        b[b == 0] = -1
    result = Given(tuple(map(max, *shapes)), "bool" if name == "LESS" else "int32")
    file = write_operator(tmp_path / "x.tflite", getattr(operators, name), [Given(shape, "int32") for shape in shapes], [result])
    assert_equal_to_reference(library, file, [a, b])


@quick
@given(seed=seeds, target=st.sampled_from(["int8", "int16"]))
def test_softmax(seed: int, target: str, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 20)), int(rng.integers(1, 511 if target == "int8" else 2000)))
    x = Given(shape, "int8", float(np.exp(rng.uniform(-6, 0.5))), int(rng.integers(-128, 128)))
    y = Given(shape, target, *((1 / 256, -128) if target == "int8" else (2.0**-16, -32768)))
    file = write_operator(tmp_path / "x.tflite", operators.SOFTMAX, [x], [y], beta=1.0)
    assert_equal_to_reference(library, file, [codes(rng, shape) if rng.random() < 0.5 else rng.integers(-9, 9, shape, dtype=np.int8)])


def test_division_by_zero_and_its_overflow_are_defined(library: KernelLibrary, tmp_path: Path) -> None:
    file = write_operator(tmp_path / "x.tflite", operators.DIV, [Given((3,), "int32"), constant([0, -1, -2])], [Given((3,), "int32")])
    (result,) = library.run(lay_out(lower_model(read_tflite(file), OPS)), [np.array([5, -(2**31), 5], np.int32)])
    assert result.tolist() == [0, -(2**31), -2]


def test_a_difference_of_integers_takes_in_a_relu(library: KernelLibrary, tmp_path: Path) -> None:
    a, b = np.array([7, -7, 0, 2**31 - 1, -(2**31)], np.int32), constant([3])
    file = write_operator(
        tmp_path / "x.tflite", operators.SUB, [Given((5,), "int32"), b], [Given((5,), "int32")], fusedActivationFunction=1
    )
    assert_equal_to_reference(library, file, [a])
    (result,) = library.run(lay_out(lower_model(read_tflite(file), OPS)), [a])
    assert result.tolist()[:4] == [4, 0, 0, 2**31 - 4]
