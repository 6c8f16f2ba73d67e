"""The TFLite operators that the converter writes, and what the kernels of every runtime take: types, ranks, grids.

The runtimes are LiteRT's reference, optimised and XNNPACK kernels and TFLite Micro. Every operator is checked against this table when it is
added to a file, so that no lowering has to check types and none can write what a runtime would misread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LARGEST_RANK = 4  # of what the conformance tests run on every runtime


@dataclass(frozen=True)
class TensorKind:
    """What an operator's kernel sees of a tensor. ``scales`` counts them, 0 for plain integers; ``scale`` is the first."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: int
    zero_points: tuple[int, ...]
    scale: float = 1.0

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class BuiltinOperator:
    """One builtin operator.

    Attributes:
        name: as in the TFLite schema.
        versions: the types that the kernels take, and the operator version that says so. "int8 int8 int32 -> int8" lists inputs and
            outputs in their order; "int8|int16" is one of them, "int8+" one or more.
        ranks: least and largest rank of the outputs.
        options: the schema's table of its options, if any is written.
        channelled: positions of inputs that may have a scale for each channel.
        symmetric: whether its kernels ignore the zero points of int16 tensors, which must be 0 then.
        reads_scales: whether the kernels look at scales at all.
        most_inputs: the most inputs that TFLite Micro takes; None where it sets no limit.
        overwrites: whether LiteRT's planner lets it write its output where its input lies (docs/adr/0019-reshaped-memory.md).
    """

    name: str
    versions: Mapping[str, int]
    ranks: tuple[int, int] = (0, LARGEST_RANK)
    options: str = ""
    channelled: tuple[int, ...] = ()
    symmetric: bool = True
    reads_scales: bool = True
    most_inputs: int | None = None
    overwrites: bool = False

    def version(self, inputs: Sequence[TensorKind], outputs: Sequence[TensorKind]) -> int:
        """The operator version for these tensors; ``inputs`` are those that are present.

        Raises:
            IllegalOperatorError: a kernel would not take them, or would misread them.
        """
        given = _types(inputs, outputs)
        version = next((version for types, version in self.versions.items() if _pattern(types).fullmatch(given)), None)
        if version is None:
            raise IllegalOperatorError(f"{self.name} does not take {given.strip()}", f"it takes {' or '.join(self.versions)}")
        least, largest = self.ranks
        for tensor in outputs:
            if not least <= len(tensor.shape) <= largest:
                raise IllegalOperatorError(f"{self.name} makes '{tensor.name}' of rank {len(tensor.shape)}", f"rank {least} to {largest}")
        if self.most_inputs is not None and len(inputs) > self.most_inputs:
            raise IllegalOperatorError(f"{self.name} has {len(inputs)} inputs", f"at most {self.most_inputs} at a time")
        single = [tensor for position, tensor in enumerate(inputs) if position not in self.channelled]
        for tensor in (*single, *outputs):
            if self.reads_scales and tensor.scales > 1:
                raise IllegalOperatorError(f"'{tensor.name}' has one scale a channel", "one scale for each activation")
        for tensor in (*inputs, *outputs):
            if self.symmetric and tensor.dtype == "int16" and any(tensor.zero_points):
                raise IllegalOperatorError(f"int16 '{tensor.name}' has zero point {max(tensor.zero_points, key=abs)}", "zero point 0")
        return version


class IllegalOperatorError(ValueError):
    """Operands that a builtin operator does not take: what is wrong, and what would help."""

    def __init__(self, reason: str, help_text: str) -> None:
        super().__init__(f"{reason}; {help_text}")
        self.reason = reason
        self.help_text = help_text


def _types(inputs: Sequence[TensorKind], outputs: Sequence[TensorKind]) -> str:
    return " ".join([*(tensor.dtype for tensor in inputs), "->", *(tensor.dtype for tensor in outputs)]) + " "


def _pattern(types: str) -> re.Pattern[str]:
    """The regular expression of a line of ``versions``, for text in which a space follows every type."""
    terms = (re.fullmatch(r"(.*?)(\+?)", term) for term in types.split())
    return re.compile("".join(f"(?:(?:{term[1]}) ){term[2]}" for term in terms if term is not None))


_ARITHMETIC = {"int8 int8 -> int8": 2, "int32 int32 -> int32": 1}
_CONVOLUTION = {"int8 int8 int32 -> int8": 3, "int16 int8 int64 -> int16": 4}
_PLANE = (4, 4)

ADD = BuiltinOperator("ADD", {**_ARITHMETIC, "int16 int16 -> int16": 3}, overwrites=True, options="AddOptions")
AVERAGE_POOL_2D = BuiltinOperator("AVERAGE_POOL_2D", {"int8 -> int8": 2}, _PLANE, options="Pool2DOptions")
BATCH_MATMUL = BuiltinOperator("BATCH_MATMUL", {"int8 int8 -> int8": 2}, (2, LARGEST_RANK), options="BatchMatMulOptions")
BROADCAST_TO = BuiltinOperator("BROADCAST_TO", {"int8|int16 int32 -> int8|int16": 2}, options="BroadcastToOptions")
CAST = BuiltinOperator("CAST", {"int8|int16|int32 -> int8|int16|int32": 1}, reads_scales=False)
CONCATENATION = BuiltinOperator("CONCATENATION", {"int8+ -> int8": 2, "int16+ -> int16": 3}, most_inputs=10, options="ConcatenationOptions")
CONV_2D = BuiltinOperator("CONV_2D", _CONVOLUTION, _PLANE, channelled=(1, 2), options="Conv2DOptions")
DEPTHWISE_CONV_2D = BuiltinOperator(
    "DEPTHWISE_CONV_2D", {"int8 int8 int32 -> int8": 3}, _PLANE, channelled=(1, 2), options="DepthwiseConv2DOptions"
)
DIV = BuiltinOperator("DIV", {"int32 int32 -> int32": 1}, overwrites=True, options="DivOptions")
DYNAMIC_UPDATE_SLICE = BuiltinOperator("DYNAMIC_UPDATE_SLICE", {"int8 int8 int32 -> int8": 1}, options="DynamicUpdateSliceOptions")
GATHER = BuiltinOperator("GATHER", {"int8 int32 -> int8": 2}, options="GatherOptions")
LEAKY_RELU = BuiltinOperator("LEAKY_RELU", {"int8 -> int8": 2}, options="LeakyReluOptions")
LESS = BuiltinOperator("LESS", {"int32 int32 -> bool": 1}, options="LessOptions")
LOGISTIC = BuiltinOperator("LOGISTIC", {"int8 -> int8": 2, "int16 -> int16": 3})
MAXIMUM = BuiltinOperator(
    "MAXIMUM", {"int8 int8 -> int8": 2, "int16 int16 -> int16": 2, "int32 int32 -> int32": 1}, options="MaximumMinimumOptions"
)
MEAN = BuiltinOperator("MEAN", {"int8 int32 -> int8": 2, "int16 int32 -> int16": 3}, options="ReducerOptions")
MINIMUM = BuiltinOperator(
    "MINIMUM", {"int8 int8 -> int8": 2, "int16 int16 -> int16": 2, "int32 int32 -> int32": 1}, options="MaximumMinimumOptions"
)
MUL = BuiltinOperator("MUL", {**_ARITHMETIC, "int16 int16 -> int16": 4}, overwrites=True, options="MulOptions")
PAD = BuiltinOperator("PAD", {"int8 int32 -> int8": 2}, options="PadOptions")
PRELU = BuiltinOperator("PRELU", {"int8 int8 -> int8": 1})
QUANTIZE = BuiltinOperator("QUANTIZE", {"int8|int16|int32 -> int8|int16": 3}, symmetric=False, options="QuantizeOptions")
RESHAPE = BuiltinOperator(
    "RESHAPE", {"int8 int32 -> int8": 1, "int16 int32 -> int16": 1, "int32 int32 -> int32": 1}, options="ReshapeOptions"
)
RSQRT = BuiltinOperator("RSQRT", {"int8 -> int8": 2})
SLICE = BuiltinOperator(
    "SLICE", {"int8 int32 int32 -> int8": 2, "int16 int32 int32 -> int16": 4, "int32 int32 int32 -> int32": 1}, options="SliceOptions"
)
SOFTMAX = BuiltinOperator(
    "SOFTMAX", {"int8 -> int8": 2, "int8 -> int16": 3}, (1, LARGEST_RANK), symmetric=False, overwrites=True, options="SoftmaxOptions"
)
SPLIT = BuiltinOperator("SPLIT", {"int32 int16 -> int16+": 4}, options="SplitOptions")
STRIDED_SLICE = BuiltinOperator(
    "STRIDED_SLICE", {"int8 int32 int32 int32 -> int8": 2, "int16 int32 int32 int32 -> int16": 4}, options="StridedSliceOptions"
)
SUB = BuiltinOperator("SUB", {**_ARITHMETIC, "int16 int16 -> int16": 5}, overwrites=True, options="SubOptions")
TANH = BuiltinOperator("TANH", {"int8 -> int8": 2, "int16 -> int16": 3})
TRANSPOSE = BuiltinOperator("TRANSPOSE", {"int8 int32 -> int8": 2}, options="TransposeOptions")
TRANSPOSE_CONV = BuiltinOperator(
    "TRANSPOSE_CONV", {"int32 int8 int8 int32 -> int8": 3}, _PLANE, channelled=(1, 3), options="TransposeConvOptions"
)
WHILE = BuiltinOperator("WHILE", {"int8|int16|int32+ -> int8|int16|int32+": 1}, options="WhileOptions")
