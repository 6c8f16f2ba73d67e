"""What the table of builtin operators takes and refuses, and that nothing in it is idle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ai_edge_litert import schema_py_generated as schema

from pipeline.convert import builtin_operators
from pipeline.convert.builtin_operators import (
    ADD,
    CAST,
    CONCATENATION,
    CONV_2D,
    SOFTMAX,
    SPLIT,
    BuiltinOperator,
    IllegalOperatorError,
    TensorKind,
)
from pipeline.convert.flatbuffer import FlatbufferBuilder
from pipeline.convert.ops import DECLARATIONS

TABLE = [item for item in vars(builtin_operators).values() if isinstance(item, BuiltinOperator)]
INT8 = TensorKind("x", "int8", (1, 5, 1, 3), 1, (7,))
INT16 = TensorKind("wide", "int16", (1, 5, 1, 3), 1, (0,))
INT32 = TensorKind("sum", "int32", (3,), 0, ())


def test_the_table_is_what_the_lowerings_declare() -> None:
    declared = {
        builtin.name for place in (DECLARATIONS.in_graph, DECLARATIONS.in_loop) for item in place.values() for builtin in item.emits
    }
    assert {builtin.name for builtin in TABLE} == declared
    for builtin in TABLE:
        assert hasattr(schema.BuiltinOperator, builtin.name)
        assert not builtin.options or hasattr(schema.BuiltinOptions, builtin.options)


@pytest.mark.parametrize(
    ("builtin", "inputs", "outputs", "version"),
    [
        (ADD, [INT8, INT8], [INT8], 2),
        (ADD, [INT16, INT16], [INT16], 3),
        (ADD, [INT32, INT32], [INT32], 1),
        (CONCATENATION, [INT8] * 10, [INT8], 2),
        (SPLIT, [INT32, INT16], [INT16] * 4, 4),
        (CONV_2D, [INT8, replace(INT8, scales=4, zero_points=(0,) * 4), replace(INT32, scales=4)], [INT8], 3),
        (SOFTMAX, [INT8], [replace(INT16, zero_points=(-32768,))], 3),
        (CAST, [INT32], [replace(INT8, scales=3)], 1),
    ],
)
def test_version_follows_the_types(builtin: BuiltinOperator, inputs: list[TensorKind], outputs: list[TensorKind], version: int) -> None:
    assert builtin.version(inputs, outputs) == version


@pytest.mark.parametrize(
    ("builtin", "inputs", "outputs", "reason"),
    [
        (ADD, [INT8, INT16], [INT8], "ADD does not take int8 int16 -> int8"),
        (ADD, [INT8], [INT8], "ADD does not take int8 -> int8"),
        (ADD, [INT8, INT8], [replace(INT8, shape=(1, 1, 5, 1, 3))], "ADD makes 'x' of rank 5"),
        (CONV_2D, [INT8, INT8, INT32], [replace(INT8, shape=(1, 5, 3))], "CONV_2D makes 'x' of rank 3"),
        (ADD, [INT8, replace(INT8, name="b", scales=3)], [INT8], "'b' has one scale a channel"),
        (CONV_2D, [replace(INT8, scales=3), INT8, INT32], [INT8], "'x' has one scale a channel"),
        (CONV_2D, [INT8, INT8, INT32], [replace(INT8, scales=3)], "'x' has one scale a channel"),
        (ADD, [INT16, replace(INT16, zero_points=(-5,))], [INT16], "int16 'wide' has zero point -5"),
        (CONCATENATION, [INT8] * 11, [INT8], "CONCATENATION has 11 inputs"),
        (CONCATENATION, [INT8, INT16], [INT8], "CONCATENATION does not take int8 int16 -> int8"),
        (SPLIT, [INT32, INT16], [], "SPLIT does not take"),
    ],
)
def test_what_a_kernel_does_not_take_is_refused(
    builtin: BuiltinOperator, inputs: list[TensorKind], outputs: list[TensorKind], reason: str
) -> None:
    with pytest.raises(IllegalOperatorError) as caught:
        builtin.version(inputs, outputs)
    assert reason in caught.value.reason
    assert caught.value.help_text


def test_an_unknown_option_is_a_fault_of_the_lowering() -> None:
    builder = FlatbufferBuilder()
    x, y = (builder.tensor(name, (1, 2), "int8") for name in ("x", "y"))
    with pytest.raises(KeyError, match="AddOptions has no field strideH"):
        builder.operator(ADD, [x, x], [y], {"strideH": 1})
    with pytest.raises(KeyError, match="CAST has no field axis"):
        builder.operator(CAST, [x], [y], {"axis": 1})
