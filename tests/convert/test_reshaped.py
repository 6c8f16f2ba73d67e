"""Where an operator would overwrite what a RESHAPE shares, on lists of operators and on the file of a SepFormer."""

from __future__ import annotations

import pytest

from pipeline.convert import builtin_operators
from pipeline.convert.builtin_operators import ADD, CONV_2D, RESHAPE, SUB, BuiltinOperator
from pipeline.convert.reshaped import Wired, overwriting


def test_a_read_that_would_overwrite_is_found() -> None:
    reshape, add = Wired(RESHAPE, [0], [1]), Wired(ADD, [1, 9], [2])
    later = Wired(ADD, [0, 2], [3])
    assert overwriting([reshape, add, later], [3]) == [(1, 0)]
    assert overwriting([reshape, Wired(RESHAPE, [1], [4]), Wired(ADD, [9, 4], [2]), later], [3]) == [(2, 1)]


def test_what_nobody_else_reads_may_be_overwritten() -> None:
    reshape = Wired(RESHAPE, [0], [1])
    assert overwriting([reshape, Wired(ADD, [1, 9], [2])], [2]) == []
    assert overwriting([reshape, Wired(CONV_2D, [1, 9], [2]), Wired(ADD, [0, 2], [3])], [3]) == []  # writes elsewhere
    assert (
        overwriting([reshape, Wired(ADD, [1, 9], [2]), Wired(ADD, [0, 2], [3]), Wired(SUB, [1, 3], [4])], [4]) == []
    )  # LiteRT sees two readers
    assert overwriting([reshape, Wired(ADD, [1, 9], [2])], [0, 2]) == [(1, 0)]  # the graph's output is read last


@pytest.mark.parametrize("name", ["ADD", "DIV", "MUL", "SOFTMAX", "SUB"])
def test_every_operator_that_litert_lets_write_where_it_reads_is_known(name: str) -> None:
    """Those that the converter emits and whose registration in LiteRT 2.3.0 names a shared input, besides RESHAPE itself."""
    wired = [Wired(RESHAPE, [0], [1]), Wired(getattr(builtin_operators, name), [1, 9], [2]), Wired(CONV_2D, [0, 2], [3])]
    assert overwriting(wired, [3]) == [(1, 0)]


def test_no_other_operator_makes_a_copy() -> None:
    marked = {item.name for item in vars(builtin_operators).values() if isinstance(item, BuiltinOperator) and item.overwrites}
    assert marked == {"ADD", "DIV", "MUL", "SOFTMAX", "SUB"}
