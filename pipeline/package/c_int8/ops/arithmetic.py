"""ADD, SUB and MUL on int8, int16 and int32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.package.c_int8.axes import broadcast
from pipeline.package.c_int8.fixed_point import Codes, fixed_point_factor, rescale
from pipeline.package.c_int8.flatbuffer_reader import Operator, Tensor
from pipeline.package.c_int8.lowering import Lowering, result_grid, tensors
from pipeline.package.c_int8.ops.integer import emit_broadcast, same_memory
from pipeline.package.c_int8.ops.table import emit_table
from pipeline.package.c_int8.program import Field, Parameters, Pointer
from pipeline.package.c_int8.tables import CODES

LEFT_SHIFT = {"int8": 20, "int16": 15}  # bits of the common grid of two summands below the coarser one's
LARGE = 1024  # results from which a table of the 256 codes is worth its making
_ALIKE = tuple((dtype,) * 3 for dtype in ("int8", "int16", "int32"))


@dataclass(frozen=True)
class _Sum:
    """sum = a · fa + sign · b · fb on a grid finer by ``left_shift`` bits; y = sum · fy. Source: TFLite's general ADD and SUB."""

    a: Tensor
    b: Tensor
    y: Tensor
    sign: int

    @property
    def left_shift(self) -> int:
        return LEFT_SHIFT[self.y.dtype.name]

    def factors(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Of a, b and y, in the precision in which LiteRT forms them."""
        twice = np.float32(2) * max(self.a.scale, self.b.scale)
        result = float(twice) / float(np.float32(1 << self.left_shift) * self.y.scale)
        a, b = (fixed_point_factor(float(tensor.scale) / float(twice)) for tensor in (self.a, self.b))
        return a, b, fixed_point_factor(result)

    def codes(self, a: Codes, b: Codes, grid: Parameters) -> Codes:
        fa, fb, fy = self.factors()
        aligned = [
            rescale((codes - tensor.zero_point) << self.left_shift, factor) for codes, tensor, factor in ((a, self.a, fa), (b, self.b, fb))
        ]
        return _codes(aligned[0] + self.sign * aligned[1], fy, grid)


def lower_add(lowering: Lowering, operator: Operator) -> None:
    """The sum of two tensors of one type."""
    _lower_sum(lowering, operator, 1, "fq_add_s32", None)


def lower_sub(lowering: Lowering, operator: Operator) -> None:
    """The difference of two tensors of one type."""
    _lower_sum(lowering, operator, -1, "fq_sub_s32", "fq_sub_relu_s32")


def _lower_sum(lowering: Lowering, operator: Operator, sign: int, on_integers: str, rectified: str | None) -> None:
    dtype = lowering.types(operator, *_ALIKE)[0]
    if dtype == "int32":
        emit_broadcast(lowering, operator, on_integers, rectified)
        return
    pot = dtype == "int16" and operator.option("potScaleInt16", True)
    lowering.require(operator, not pot, "it asks for the kernels of powers of two", "potScaleInt16 = false")
    (a, b), y = tensors(operator), operator.outputs[0]
    total, grid = _Sum(a, b, y, sign), result_grid(operator)
    if dtype == "int8" and (a_code := _constant_code(a)) is not None:
        emit_table(lowering, b, total.codes(a_code, CODES, grid), y)
        return
    if dtype == "int8" and (b_code := _constant_code(b)) is not None:
        emit_table(lowering, a, total.codes(CODES, b_code, grid), y)
        return
    if sign == 1 and a.size == 1 < b.size:
        a, b, total = b, a, _Sum(b, a, y, sign)
    fa, fb, fy = total.factors()
    summands = {
        name: Parameters.of("fq_summand", zero_point=tensor.zero_point, multiplier=factor[0], shift=factor[1])
        for name, tensor, factor in (("a", a, fa), ("b", b, fb))
    }
    fields: dict[str, Field] = {"left_shift": total.left_shift, "sign": sign, **summands, "multiplier": fy[0], "shift": fy[1], "y": grid}
    _emit(lowering, "fq_add", dtype, fields, a, b, y, tables=True)


def lower_mul(lowering: Lowering, operator: Operator) -> None:
    """The product of two tensors of one type; LiteRT forms s_a · s_b / s_y in float32."""
    dtype = lowering.types(operator, *_ALIKE)[0]
    if dtype == "int32":
        emit_broadcast(lowering, operator, "fq_mul_s32")
        return
    (a, b), y = tensors(operator), operator.outputs[0]
    factor, grid = fixed_point_factor(float(np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale))), result_grid(operator)
    if a.data is not None or a.size == 1 < b.size:
        a, b = b, a
    if dtype == "int8" and (code := _constant_code(b)) is not None:
        emit_table(lowering, a, _codes((CODES - a.zero_point) * (code - b.zero_point), factor, grid), y)
        return
    fields: dict[str, Field] = {
        "a_zero_point": a.zero_point,
        "b_zero_point": b.zero_point,
        "multiplier": factor[0],
        "shift": factor[1],
        "y": grid,
    }
    _emit(lowering, "fq_mul", dtype, fields, a, b, y, tables=False)


def _codes(value: Codes, factor: tuple[int, int], grid: Parameters) -> Codes:
    """A result on its grid."""
    zero_point, minimum, maximum = (int(bound) for _, bound in grid.fields if isinstance(bound, int))
    return np.clip(rescale(value, factor) + zero_point, minimum, maximum)


def _constant_code(tensor: Tensor) -> Codes | None:
    """The one code of a constant scalar."""
    return tensor.data.reshape(-1)[:1].astype(np.int64) if tensor.data is not None and tensor.size == 1 else None


def _emit(lowering: Lowering, name: str, dtype: str, fields: dict[str, Field], a: Tensor, b: Tensor, y: Tensor, tables: bool) -> None:
    suffix, scratch = {"int8": "s8", "int16": "s16"}[dtype], 0
    shape = Pointer(broadcast(y.shape, a.shape, b.shape))
    if dtype == "int8" and y.size >= LARGE and b.size == 1:
        suffix = "scalar_s8"
    elif dtype == "int8" and y.size >= LARGE and tables:
        suffix, scratch = "tables_s8", 2048
    parameters = Parameters.of(name, shape=shape, **fields)
    lowering.emit(f"{name}_{suffix}", parameters, (a, b), y, scratch, same_memory(y, a, b))
