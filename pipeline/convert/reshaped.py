"""Which operators of a TFLite graph must read a copy of a RESHAPE's output.

LiteRT's planner lets a RESHAPE share its input's memory, and lets an elementwise operator write where it reads, if nothing else reads
that tensor. It does not ask who else reads what the RESHAPE shares: that reader then finds the operator's result (seen in 2.3.0, with
the reference and the optimised kernels; docs/adr/0019-reshaped-memory.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.convert.builtin_operators import RESHAPE, BuiltinOperator


class Wired(NamedTuple):
    """An operator and the indices of its tensors; of a loop also those of its condition and its body."""

    builtin: BuiltinOperator
    inputs: Sequence[int]
    outputs: Sequence[int]
    subgraphs: Sequence[int] = ()


def overwriting(operators: Sequence[Wired], kept: Sequence[int]) -> list[tuple[int, int]]:
    """(operator, input) by position: reads after which the memory of a tensor that others read would be overwritten.

    Args:
        operators: of one graph, in order.
        kept: tensors that are read after the last operator.
    """
    readers = Counter([*kept, *(index for _, inputs, *_ in operators for index in inputs)])
    source = {outputs[0]: inputs[0] for builtin, inputs, outputs, _ in operators if builtin is RESHAPE}
    found = []
    for position, (builtin, inputs, *_) in enumerate(operators):
        for slot, index in enumerate(inputs if builtin.overwrites else ()):
            shared = index
            while shared in source and readers[index] == 1:
                shared = source[shared]
                if readers[shared] > 1:
                    found.append((position, slot))
                    break
    return found
