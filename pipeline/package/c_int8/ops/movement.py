"""Operators that move codes: all of them copies of blocks, or no more than another view of the same memory."""

from __future__ import annotations

import math

import numpy as np

from pipeline.package.c_int8.axes import broadcast_steps, copy, steps_of
from pipeline.package.c_int8.flatbuffer_reader import Operator, Tensor
from pipeline.package.c_int8.lowering import Lowering, grid, tensors
from pipeline.package.c_int8.program import Field, Parameters


def emit_copy(lowering: Lowering, x: Tensor, y: Tensor) -> None:
    """All of x to y."""
    lowering.emit("fq_copy", copy((x.size,), (1,), (1,), 0, 0, x.dtype.itemsize), (x,), y)


def lower_reshape(lowering: Lowering, operator: Operator) -> None:
    """The same memory under another shape."""
    x, y = tensors(operator)[0], operator.outputs[0]
    if x.data is None:
        lowering.shared.append((x, y))
    else:
        emit_copy(lowering, x, y)


def lower_concatenation(lowering: Lowering, operator: Operator) -> None:
    """Tensors on one grid, one after the other along an axis."""
    parts, y = tensors(operator), operator.outputs[0]
    axis = operator.option("axis", 0) % len(y.shape)
    lowering.require(operator, not operator.option("fusedActivationFunction", 0), "it has a fused activation", "none")
    start, steps = 0, steps_of(y.shape)
    for x in parts:
        alike = x.dtype == y.dtype and (not x.scales.size or grid(x) == grid(y))
        lowering.require(operator, alike, f"{x} is on another grid than {y}", "one grid")
        lowering.emit("fq_copy", copy(x.shape, steps_of(x.shape), steps, 0, start * steps[axis], y.dtype.itemsize), (x,), y)
        start += x.shape[axis]


def lower_split(lowering: Lowering, operator: Operator) -> None:
    """Equal parts along an axis."""
    x = tensors(operator)[1]
    axis = int(lowering.value(operator, 0).item()) % len(x.shape)
    steps = steps_of(x.shape)
    for index, y in enumerate(operator.outputs):
        start = index * y.shape[axis] * steps[axis]
        lowering.emit("fq_copy", copy(y.shape, steps, steps_of(y.shape), start, 0, x.dtype.itemsize), (x,), y)


def lower_slice(lowering: Lowering, operator: Operator) -> None:
    """A part of a tensor; where it begins may be computed at run time."""
    x, begin, _ = tensors(operator)
    y = operator.outputs[0]
    steps, element = steps_of(x.shape), x.dtype.itemsize
    if begin.data is None:
        parameters = _part(copy(y.shape, steps, steps_of(y.shape), 0, 0, element), x, y)
        lowering.emit("fq_take_part", parameters, (x, begin), y)
        return
    start = sum(int(index) * step for index, step in zip(begin.data, steps, strict=True))
    lowering.emit("fq_copy", copy(y.shape, steps, steps_of(y.shape), start, 0, element), (x,), y)


def lower_dynamic_update_slice(lowering: Lowering, operator: Operator) -> None:
    """A tensor with a part of it replaced; where is computed at run time."""
    whole, part, indices = tensors(operator)
    y, element = operator.outputs[0], whole.dtype.itemsize
    parameters = _part(copy(part.shape, steps_of(part.shape), steps_of(y.shape), 0, 0, element), whole, part)
    lowering.emit("fq_put_part", parameters, (whole, indices, part), y, in_place=(whole,))


def _part(copied: Parameters, whole: Tensor, part: Tensor) -> Parameters:
    rank = len(whole.shape)
    room = [outer - inner for outer, inner in zip(whole.shape, part.shape, strict=True)]
    fields: dict[str, Field] = {
        "rank": rank,
        "limit": (*room, *[0] * (5 - rank)),
        "step": (*(step * whole.dtype.itemsize for step in steps_of(whole.shape)), *[0] * (5 - rank)),
        "bytes": whole.nbytes,
    }
    return Parameters.of("fq_part", copy=copied, **fields)


def lower_strided_slice(lowering: Lowering, operator: Operator) -> None:
    """Every so many values; begin, end and strides are constants."""
    x, y = tensors(operator)[0], operator.outputs[0]
    masks = [operator.option(name, 0) for name in ("ellipsisMask", "newAxisMask", "shrinkAxisMask")]
    lowering.require(operator, not any(masks), "it has masks that change the axes", "begin and end masks")
    begin, _, strides = (lowering.value(operator, index).tolist() for index in (1, 2, 3))
    start, steps = 0, []
    for axis, (first, stride, size, step) in enumerate(zip(begin, strides, x.shape, steps_of(x.shape), strict=True)):
        if operator.option("beginMask", 0) >> axis & 1:
            first = 0 if stride > 0 else size - 1
        first = first + size if first < 0 else first
        start += min(max(first, 0), size - 1) * step
        steps.append(stride * step)
    lowering.emit("fq_copy", copy(y.shape, steps, steps_of(y.shape), start, 0, x.dtype.itemsize), (x,), y)


def lower_transpose(lowering: Lowering, operator: Operator) -> None:
    """The axes in another order."""
    x, y = tensors(operator)[0], operator.outputs[0]
    steps = steps_of(x.shape)
    order = [steps[int(axis)] for axis in lowering.value(operator, 1)]
    lowering.emit("fq_copy", copy(y.shape, order, steps_of(y.shape), 0, 0, x.dtype.itemsize), (x,), y)


def lower_broadcast_to(lowering: Lowering, operator: Operator) -> None:
    """Repetition along axes of size 1."""
    x, y = tensors(operator)[0], operator.outputs[0]
    lowering.emit("fq_copy", copy(y.shape, broadcast_steps(x.shape, y.shape), steps_of(y.shape), 0, 0, x.dtype.itemsize), (x,), y)


def lower_pad(lowering: Lowering, operator: Operator) -> None:
    """Real 0 around a tensor."""
    x, y = tensors(operator)[0], operator.outputs[0]
    lowering.require(operator, x.dtype == np.int8 or y.zero_point == 0, "its zero point is more than a byte", "int8, or zero point 0")
    steps = steps_of(y.shape)
    start = sum(int(before) * step for (before, _), step in zip(lowering.value(operator, 1), steps, strict=True))
    copied = copy(x.shape, steps_of(x.shape), steps, 0, start, x.dtype.itemsize)
    lowering.emit("fq_pad", Parameters.of("fq_pad", copy=copied, bytes=y.nbytes, value=y.zero_point), (x,), y)


def lower_gather(lowering: Lowering, operator: Operator) -> None:
    """Entries of a table along its first axis."""
    table, index = tensors(operator)
    plain = operator.option("axis", 0) == 0 and operator.option("batchDims", 0) == 0 and index.dtype == np.int32
    lowering.require(operator, plain, "it gathers along another axis or by other than int32", "axis 0, int32 indices")
    block = math.prod(table.shape[1:]) * table.dtype.itemsize
    parameters = Parameters.of("fq_gather", count=index.size, entries=table.shape[0], block=block)
    lowering.emit("fq_gather", parameters, (table, index), operator.outputs[0])
