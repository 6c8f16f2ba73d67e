"""Operators that move codes, and loops of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from export_specs.foundation.errors import UserError
from pipeline.convert import builtin_operators as operators
from pipeline.convert.flatbuffer import FlatbufferBuilder
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS
from tests.c_int8.kernel_library import KernelLibrary, assert_equal_to_reference
from tests.c_int8.one_operator import Given, codes, constant, quick, seeds, write_operator

GRIDS = {"int8": (0.1, -7), "int16": (0.01, 0), "int32": (None, 0)}


def _given(shape: tuple[int, ...], dtype: str) -> Given:
    scale, zero_point = GRIDS[dtype]
    return Given(shape, dtype, scale, zero_point)


def _shape(rng: np.random.Generator, rank: int) -> tuple[int, ...]:
    return tuple(int(size) for size in rng.integers(1, 9, rank))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
@quick
@given(seed=seeds)
def test_slice(dtype: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = _shape(rng, int(rng.integers(1, 5)))
    begin = [int(rng.integers(size)) for size in shape]
    size = [int(rng.integers(1, whole - first + 1)) for whole, first in zip(shape, begin, strict=True)]
    at_run_time = rng.random() < 0.4
    x, start = _given(shape, dtype), Given((len(shape),), "int32") if at_run_time else constant(begin)
    file = write_operator(tmp_path / "x.tflite", operators.SLICE, [x, start, constant(size)], [_given(tuple(size), dtype)])
    assert_equal_to_reference(library, file, [codes(rng, shape, dtype), *([np.array(begin, np.int32)] if at_run_time else [])])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@quick
@given(seed=seeds)
def test_strided_slice(dtype: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = _shape(rng, int(rng.integers(1, 5)))
    rank = len(shape)
    strides = [int(rng.choice([1, 2, 3, -1, -2])) for _ in shape]
    begin = [int(rng.integers(-size, size)) for size in shape]
    begin_mask, end_mask = int(rng.integers(2**rank)), 2**rank - 1
    taken = [
        len(range((size - 1 if stride < 0 else 0) if begin_mask >> axis & 1 else first % size, -1 if stride < 0 else size, stride))
        for axis, (first, stride, size) in enumerate(zip(begin, strides, shape, strict=True))
    ]
    operands = [_given(shape, dtype), constant(begin), constant([0] * rank), constant(strides)]
    masks = {"beginMask": begin_mask, "endMask": end_mask}
    file = write_operator(tmp_path / "x.tflite", operators.STRIDED_SLICE, operands, [_given(tuple(taken), dtype)], **masks)
    assert_equal_to_reference(library, file, [codes(rng, shape, dtype)])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@quick
@given(seed=seeds)
def test_concatenation(dtype: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = _shape(rng, int(rng.integers(1, 5)))
    axis = int(rng.integers(len(shape)))
    lengths = [int(size) for size in rng.integers(1, 6, int(rng.integers(1, 6)))]
    parts = [_given((*shape[:axis], length, *shape[axis + 1 :]), dtype) for length in lengths]
    y = _given((*shape[:axis], sum(lengths), *shape[axis + 1 :]), dtype)
    file = write_operator(tmp_path / "x.tflite", operators.CONCATENATION, parts, [y], axis=axis - len(shape) * int(rng.integers(2)))
    assert_equal_to_reference(library, file, [codes(rng, part.shape, dtype) for part in parts])


@quick
@given(seed=seeds)
def test_split(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = list(_shape(rng, int(rng.integers(1, 5))))
    axis, parts = int(rng.integers(len(shape))), int(rng.integers(1, 5))
    part = _given(tuple(shape), "int16")
    shape[axis] *= parts
    x = _given(tuple(shape), "int16")
    file = write_operator(tmp_path / "x.tflite", operators.SPLIT, [constant(np.int32(axis)), x], [part] * parts, numSplits=parts)
    assert_equal_to_reference(library, file, [codes(rng, x.shape, "int16")])


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
@quick
@given(seed=seeds)
def test_transpose(dtype: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = _shape(rng, int(rng.integers(1, 5)))
    order = rng.permutation(len(shape)).tolist()
    builtin = replace(operators.TRANSPOSE, versions={"int8|int16|int32 int32 -> int8|int16|int32": 4})
    y = _given(tuple(shape[axis] for axis in order), dtype)
    file = write_operator(tmp_path / "x.tflite", builtin, [_given(shape, dtype), constant(order)], [y])
    assert_equal_to_reference(library, file, [codes(rng, shape, dtype)])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@quick
@given(seed=seeds)
def test_broadcast_to(dtype: str, seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    full = _shape(rng, int(rng.integers(1, 5)))
    shape = tuple(1 if rng.random() < 0.5 else size for size in full)[int(rng.integers(len(full))) :]
    file = write_operator(tmp_path / "x.tflite", operators.BROADCAST_TO, [_given(shape, dtype), constant(full)], [_given(full, dtype)])
    assert_equal_to_reference(library, file, [codes(rng, shape, dtype)])


@quick
@given(seed=seeds)
def test_pad(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = _shape(rng, int(rng.integers(1, 5)))
    amounts = rng.integers(0, 4, (len(shape), 2))
    y = _given(tuple(int(size + added) for size, added in zip(shape, amounts.sum(1), strict=True)), "int8")
    file = write_operator(tmp_path / "x.tflite", operators.PAD, [_given(shape, "int8"), constant(amounts)], [y])
    assert_equal_to_reference(library, file, [codes(rng, shape)])


@quick
@given(seed=seeds)
def test_gather(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    table, index = _shape(rng, int(rng.integers(1, 4))), _shape(rng, int(rng.integers(1, 3)))[: 5 - 1]
    entries = Given(table, "int8", 0.1, 3, rng.integers(-128, 128, table) if rng.random() < 0.5 else None)
    y = Given((*index, *table[1:])[:4], "int8", 0.1, 3)
    if len(index) + len(table) - 1 > operators.LARGEST_RANK:
        return
    file = write_operator(tmp_path / "x.tflite", operators.GATHER, [entries, Given(index, "int32")], [y], axis=0, batchDims=0)
    fed = [codes(rng, table)] if entries.data is None else []
    assert_equal_to_reference(library, file, [*fed, rng.integers(0, table[0], index, dtype=np.int32)])


@quick
@given(seed=seeds)
def test_dynamic_update_slice_holds_the_place_within_the_whole(seed: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = _shape(rng, int(rng.integers(1, 5)))
    part = tuple(int(rng.integers(1, size + 1)) for size in shape)
    operands = [_given(shape, "int8"), _given(part, "int8"), Given((len(shape),), "int32")]
    file = write_operator(tmp_path / "x.tflite", operators.DYNAMIC_UPDATE_SLICE, operands, [_given(shape, "int8")])
    indices = np.array([rng.integers(-2, size + 2) for size in shape], np.int32)
    assert_equal_to_reference(library, file, [codes(rng, shape), codes(rng, part), indices])


def _loop(path: Path, turns: int, exchanged: bool = False) -> Path:
    """Variables for ``turns`` turns: a counter; one that doubles and one that adds it up; one that becomes a constant; one handed on."""
    builder = FlatbufferBuilder()
    shapes = {"count": (1,), "doubled": (2, 3), "total": (2, 3), "fixed": (3,), "same": (2, 3)}
    outer = {name: builder.tensor(name, shape, np.int32) for name, shape in shapes.items()}
    ends = {name: builder.tensor(f"{name}/end", shape, np.int32) for name, shape in shapes.items()}

    condition, inner = builder.subgraph("condition")
    tested = [inner.tensor(name, shape, np.int32) for name, shape in shapes.items()]
    more = inner.tensor("more", (1,), np.bool_)
    inner.operator(operators.LESS, [tested[0], inner.tensor("limit", (1,), np.int32, data=np.array([turns]))], [more], {})
    inner.close(tested, [more])

    body, inner = builder.subgraph("body")
    held = {name: inner.tensor(name, shape, np.int32) for name, shape in shapes.items()}
    count, doubled, total = (inner.tensor(f"{name}/next", shapes[name], np.int32) for name in ("count", "doubled", "total"))
    inner.operator(operators.ADD, [held["count"], inner.tensor("one", (1,), np.int32, data=np.array([1]))], [count], {})
    inner.operator(operators.ADD, [held["doubled"], held["doubled"]], [doubled], {})
    inner.operator(operators.ADD, [held["total"], held["doubled"]], [total], {})  # needs it before it is doubled
    fixed = inner.tensor("seven", (3,), np.int32, data=np.array([7, 8, 9]))
    inner.close(list(held.values()), [count, held["total"] if exchanged else doubled, total, fixed, held["same"]])
    builder.operator(
        operators.WHILE, list(outer.values()), list(ends.values()), {"condSubgraphIndex": condition, "bodySubgraphIndex": body}
    )
    after = builder.tensor("after", (2, 3), np.int32)
    builder.operator(operators.ADD, [ends["same"], ends["total"]], [after], {})
    results = {name: index for name, index in ends.items() if name != "same"}
    path.write_bytes(builder.finish(outer, {**results, "after": after}, "a loop", None))
    return path


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_variables_of_loops(turns: int, library: KernelLibrary, tmp_path: Path) -> None:
    rng = np.random.default_rng(turns)
    doubled, total, same = (rng.integers(-99, 99, (2, 3), np.int32) for _ in range(3))
    inputs = [np.zeros(1, np.int32), doubled, total, np.array([1, 2, 3], np.int32), same]
    layout = assert_equal_to_reference(library, _loop(tmp_path / "x.tflite", turns), inputs)
    found = dict(zip([item.tensor.name for item in layout.checkpoints], library.run(layout, inputs), strict=True))
    np.testing.assert_array_equal(found["after"], same + total + (2**turns - 1) * doubled)


def test_variables_that_change_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="change places"):
        lower_model(read_tflite(_loop(tmp_path / "x.tflite", 2, exchanged=True)), OPS)
