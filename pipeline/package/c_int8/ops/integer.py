"""Arithmetic on codes as they are: DIV, LESS, MAXIMUM, MINIMUM; and CAST and QUANTIZE."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from pipeline.package.c_int8.axes import broadcast
from pipeline.package.c_int8.fixed_point import fixed_point_factor, rescale
from pipeline.package.c_int8.flatbuffer_reader import Operator, Tensor
from pipeline.package.c_int8.lowering import Lower, Lowering, tensors
from pipeline.package.c_int8.ops.table import emit_table
from pipeline.package.c_int8.program import Parameters
from pipeline.package.c_int8.tables import CODES, clamp_int8

_SUFFIX = {"int8": "s8", "int16": "s16", "int32": "s32"}
_REQUANTIZED = (("int8", "int8"), ("int8", "int16"), ("int16", "int8"), ("int16", "int16"), ("int32", "int8"), ("int32", "int16"))


def emit_broadcast(lowering: Lowering, operator: Operator, kernel: str, rectified: str | None = None) -> None:
    """A kernel of two operands that needs to know their shapes alone; ``rectified`` is the one that takes in a RELU, where there is one."""
    (a, b), y = tensors(operator), operator.outputs[0]
    activation = operator.option("fusedActivationFunction", 0)
    if activation == schema.ActivationFunctionType.RELU and rectified is not None:
        kernel = rectified
    else:
        lowering.require(operator, not activation, "it has a fused activation", "none on integers, or RELU on SUB")
    lowering.emit(kernel, broadcast(y.shape, a.shape, b.shape), (a, b), y, in_place=same_memory(y, a, b))


def same_memory(y: Tensor, *operands: Tensor) -> tuple[Tensor, ...]:
    """The operands whose values lie as those of the result do."""
    return tuple(item for item in operands if item.size == y.size and item.dtype == y.dtype)


def lower_div(lowering: Lowering, operator: Operator) -> None:
    """On int32, rounded towards 0."""
    lowering.types(operator, ("int32", "int32", "int32"))
    emit_broadcast(lowering, operator, "fq_div_s32")


def lower_less(lowering: Lowering, operator: Operator) -> None:
    """On int32."""
    lowering.types(operator, ("int32", "int32", "bool"))
    emit_broadcast(lowering, operator, "fq_less_s32")


def extremum(name: str) -> Lower:
    """MAXIMUM or MINIMUM of two tensors of one type and grid."""

    def lower(lowering: Lowering, operator: Operator) -> None:
        dtype = lowering.types(operator, *((dtype,) * 3 for dtype in _SUFFIX))[0]
        emit_broadcast(lowering, operator, f"fq_{name}_{_SUFFIX[dtype]}")

    return lower


def lower_cast(lowering: Lowering, operator: Operator) -> None:
    """Between int8, int16 and int32, modulo 2^n."""
    source, result = lowering.types(operator, *((a, b) for a in _SUFFIX for b in _SUFFIX if a != b))
    (x,), y = tensors(operator), operator.outputs[0]
    lowering.emit(f"fq_cast_{_SUFFIX[source]}_{_SUFFIX[result]}", Parameters.of("fq_count", count=y.size), (x,), y)


def lower_quantize(lowering: Lowering, operator: Operator) -> None:
    """A change of grid; the quotient of the scales is formed in double."""
    source, result = lowering.types(operator, *_REQUANTIZED)
    (x,), y = tensors(operator), operator.outputs[0]
    multiplier, shift = fixed_point_factor(float(x.scale) / float(y.scale))
    if source == result == "int8":
        emit_table(lowering, x, clamp_int8(rescale(CODES - x.zero_point, (multiplier, shift)) + y.zero_point), y)
        return
    fields = {"count": y.size, "x_zero_point": x.zero_point, "y_zero_point": y.zero_point, "multiplier": multiplier, "shift": shift}
    kernel = f"fq_requantize_{_SUFFIX[source]}_{_SUFFIX[result]}"
    lowering.emit(kernel, Parameters.of("fq_requantize", **fields), (x,), y, in_place=same_memory(y, x))
