"""Convolutions, pools and matrix products of random geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from pipeline.convert import builtin_operators as operators
from tests.c_int8.kernel_library import KernelLibrary, assert_equal_to_reference
from tests.c_int8.one_operator import Given, codes, constant, quick, seeds, write_operator

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


class Geometry:
    """A window over a plane, and the size of what it gives; channels go past the 64 that the kernels sum at once."""

    def __init__(self, rng: np.random.Generator, dilated: bool = True) -> None:
        self.size = [int(value) for value in rng.integers(1, 12, 2)]
        self.kernel = [int(rng.integers(1, min(size, 4) + 1)) for size in self.size]
        self.strides = [int(value) for value in rng.integers(1, 4, 2)]
        self.dilations = [1, 1]
        self.padding = int(rng.choice([SAME, VALID]))
        if dilated and rng.random() < 0.5:
            self.strides = [1, 1]
            self.dilations = [int(value) for value in rng.integers(1, 4, 2)]
            if self.padding == VALID:
                self.kernel = [1 + (kernel - 1) // 3 for kernel in self.kernel]
        self.batches = int(rng.integers(1, 3))
        self.channels, self.filters = (int(value) for value in rng.choice([1, 2, 3, 4, 7, 16, 33, 64, 70], 2))

    @property
    def out(self) -> list[int]:
        spans = [(kernel - 1) * dilation + 1 for kernel, dilation in zip(self.kernel, self.dilations, strict=True)]
        if self.padding == SAME:
            return [-(-size // stride) for size, stride in zip(self.size, self.strides, strict=True)]
        return [(size - span) // stride + 1 for size, span, stride in zip(self.size, spans, self.strides, strict=True)]

    def options(self, dilations: bool = True) -> dict[str, object]:
        named = {"padding": self.padding, "strideH": self.strides[0], "strideW": self.strides[1]}
        return {**named, "dilationHFactor": self.dilations[0], "dilationWFactor": self.dilations[1]} if dilations else named


def _weights(rng: np.random.Generator, shape: tuple[int, ...], axis: int) -> Given:
    scales = np.exp(rng.uniform(-7, -3, shape[axis])).astype(np.float32)
    return Given(shape, "int8", scales.tolist(), 0, rng.integers(-127, 128, shape), axis)


def _grids(rng: np.random.Generator, depth: int) -> tuple[tuple[float, int], tuple[float, int]]:
    s_x = float(np.exp(rng.uniform(-5, -1)))
    return (s_x, int(rng.integers(-128, 128))), (
        s_x * float(np.exp(rng.uniform(-4, 1))) * float(np.sqrt(depth)),
        int(rng.integers(-128, 128)),
    )


@quick
@given(seed=seeds, activation=st.sampled_from([0, 1]))
def test_conv_2d(seed: int, activation: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    g = Geometry(rng)
    depth = g.channels * g.kernel[0] * g.kernel[1]
    x_grid, y_grid = _grids(rng, depth)
    x = Given((g.batches, *g.size, g.channels), "int8", *x_grid)
    weights = _weights(rng, (g.filters, *g.kernel, g.channels), 0)
    bias = Given((g.filters,), "int32", [1.0] * g.filters, 0, rng.integers(-20000, 20000, g.filters))
    y = Given((g.batches, *g.out, g.filters), "int8", *y_grid)
    file = write_operator(
        tmp_path / "x.tflite", operators.CONV_2D, [x, weights, bias], [y], **g.options(), fusedActivationFunction=activation
    )
    assert_equal_to_reference(library, file, [codes(rng, x.shape)])


@quick
@given(seed=seeds)
def test_conv_2d_on_int16(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    g = Geometry(rng, dilated=False)
    depth = g.channels * g.kernel[0] * g.kernel[1]
    x = Given((g.batches, *g.size, g.channels), "int16", 2.0**-15)
    weights = _weights(rng, (g.filters, *g.kernel, g.channels), 0)
    bias = Given((g.filters,), "int64", [1.0] * g.filters, 0, rng.integers(-(2**36), 2**36, g.filters))
    y = Given((g.batches, *g.out, g.filters), "int16", float(np.exp(rng.uniform(-12, -7))) * float(np.sqrt(depth)))
    file = write_operator(tmp_path / "x.tflite", operators.CONV_2D, [x, weights, bias], [y], **g.options())
    assert_equal_to_reference(library, file, [codes(rng, x.shape, "int16")])


@pytest.mark.parametrize("at_run_time", [False, True])
@quick
@given(seed=seeds)
def test_depthwise_conv_2d(at_run_time: bool, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    g = Geometry(rng)
    g.strides[1] = g.strides[0]
    x_grid, y_grid = _grids(rng, g.kernel[0] * g.kernel[1])
    x = Given((g.batches, *g.size, g.channels), "int8", *x_grid)
    weights = _weights(rng, (1, *g.kernel, g.channels), 3)
    bias = Given((g.channels,), "int32", [1.0] * g.channels, 0, rng.integers(-20000, 20000, g.channels))
    y = Given((g.batches, *g.out, g.channels), "int8", *y_grid)
    fed = [codes(rng, x.shape)]
    if at_run_time:
        fed += [weights.data.astype(np.int8), bias.data.astype(np.int32)]
        weights, bias = (Given(item.shape, item.dtype, item.scale, 0, None, item.axis) for item in (weights, bias))
    file = write_operator(tmp_path / "x.tflite", operators.DEPTHWISE_CONV_2D, [x, weights, bias], [y], **g.options(), depthMultiplier=1)
    assert_equal_to_reference(library, file, fed)


@quick
@given(seed=seeds)
def test_transpose_conv(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    g = Geometry(rng, dilated=False)
    x_grid, y_grid = _grids(rng, g.channels)
    pairs = list(zip(g.size, g.strides, g.kernel, strict=True))
    out = [size * stride if g.padding == SAME else (size - 1) * stride + max(kernel, stride) for size, stride, kernel in pairs]
    x = Given((g.batches, *g.size, g.channels), "int8", *x_grid)
    weights = _weights(rng, (g.filters, *g.kernel, g.channels), 0)
    bias = Given((g.filters,), "int32", [1.0] * g.filters, 0, rng.integers(-20000, 20000, g.filters))
    y = Given((g.batches, *out, g.filters), "int8", *y_grid)
    inputs = [constant(y.shape), weights, x, bias]
    file = write_operator(tmp_path / "x.tflite", operators.TRANSPOSE_CONV, inputs, [y], **g.options(dilations=False))
    assert_equal_to_reference(library, file, [codes(rng, x.shape)])


@quick
@given(seed=seeds)
def test_average_pool_2d(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    g = Geometry(rng, dilated=False)
    grid = (0.03, int(rng.integers(-128, 128)))
    x, y = Given((g.batches, *g.size, g.channels), "int8", *grid), Given((g.batches, *g.out, g.channels), "int8", *grid)
    options = {**g.options(dilations=False), "filterHeight": g.kernel[0], "filterWidth": g.kernel[1]}
    file = write_operator(tmp_path / "x.tflite", operators.AVERAGE_POOL_2D, [x], [y], **options)
    assert_equal_to_reference(library, file, [codes(rng, x.shape)])


@pytest.mark.parametrize("turned", [False, True])
@quick
@given(seed=seeds)
def test_batch_matmul(turned: bool, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    rows, depth, columns = (int(value) for value in rng.choice([1, 2, 5, 16, 31, 64, 70], 3))
    batches = int(rng.integers(1, 4))
    one_a, one_b = rng.random(2) < 0.2
    a_grid, y_grid = _grids(rng, depth)
    b_grid = (float(np.exp(rng.uniform(-5, -1))), int(rng.integers(-128, 128)))
    a = Given((1, 1 if one_a else batches, rows, depth), "int8", *a_grid)
    b = Given((1, 1 if one_b else batches, *((columns, depth) if turned else (depth, columns))), "int8", *b_grid)
    y = Given((1, 1 if one_a and one_b else batches, rows, columns), "int8", y_grid[0] * b_grid[0] * 90, y_grid[1])
    file = write_operator(tmp_path / "x.tflite", operators.BATCH_MATMUL, [a, b], [y], adjX=False, adjY=turned)
    assert_equal_to_reference(library, file, [codes(rng, a.shape), codes(rng, b.shape)])


@pytest.mark.parametrize("turned", [False, True])
@quick
@given(seed=seeds)
def test_products_of_all_pairs_of_codes(turned: bool, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    """So many results that one lies where it matters in which precision the factor was formed."""
    rng = np.random.default_rng(seed)
    every = np.arange(-128, 128, dtype=np.int8)
    s_a, s_b = (float(np.exp(rng.uniform(-5, -1))) for _ in range(2))
    zeros = rng.integers(-128, 128, 3).tolist()
    a = Given((256, 1), "int8", s_a, zeros[0])
    b = Given((256, 1) if turned else (1, 256), "int8", s_b, zeros[1])
    y = Given((256, 256), "int8", s_a * s_b * float(rng.uniform(60, 250)), zeros[2])
    file = write_operator(tmp_path / "x.tflite", operators.BATCH_MATMUL, [a, b], [y], adjX=False, adjY=turned)
    assert_equal_to_reference(library, file, [every.reshape(a.shape), every.reshape(b.shape)])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@quick
@given(seed=seeds)
def test_mean_over_any_axes(dtype: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 12, int(rng.integers(1, 5))))
    axes = sorted(rng.choice(len(shape), int(rng.integers(1, len(shape) + 1)), replace=False).tolist())
    keep = bool(rng.integers(2)) or len(axes) == len(shape)
    s_x = float(np.exp(rng.uniform(-5, -1)))
    zeros = rng.integers(-128, 128, 2).tolist() if dtype == "int8" else [0, 0]
    s_y, z_y = (s_x, zeros[0]) if rng.random() < 0.3 else (s_x * float(rng.uniform(0.3, 2)), zeros[1])
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)
    x, y = Given(shape, dtype, s_x, zeros[0]), Given(out, dtype, s_y, z_y)
    file = write_operator(tmp_path / "x.tflite", operators.MEAN, [x, constant(axes)], [y], keepDims=keep)
    assert_equal_to_reference(library, file, [codes(rng, shape, dtype)])
