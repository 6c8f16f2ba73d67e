"""A plan of TFLite Micro's arena that lies in the file: metadata entry OfflineMemoryAllocation.

Its own planner puts the largest tensors first, never puts one on another, and leaves gaps. Where the file has offsets it takes them as they
are, without a check. The other runtimes do not look at them. Exactness: bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.arena import Memory, place
from pipeline.convert.builtin_operators import ADD, LEAKY_RELU, MAXIMUM, MINIMUM, MUL, RESHAPE, SUB
from pipeline.convert.reshaped import Wired

ENTRY = "OfflineMemoryAllocation"
VERSION = 1
ELSEWHERE = -1  # offset of a tensor that is no part of the plan
IN_PLACE = (ADD, LEAKY_RELU, MAXIMUM, MINIMUM, MUL, RESHAPE, SUB)  # whose kernels read a value before they write to its place


def memory_plan(operators: Sequence[Wired], inputs: Sequence[int], outputs: Sequence[int], sizes: Mapping[int, int], count: int) -> bytes:
    """The content of the entry for a file of one graph.

    Args:
        operators: in order. ``inputs``, ``outputs``: tensors of the graph.
        sizes: bytes of each tensor that enters the graph or is computed, by index.
        count: of all tensors.
    """
    memories: dict[int, Memory] = {}
    uses = [
        (0, list(inputs)),
        *((time, [*item.inputs, *item.outputs]) for time, item in enumerate(operators, 1)),
        (len(operators), list(outputs)),
    ]
    for time, used in uses:
        for index in filter(sizes.__contains__, used):
            memories.setdefault(index, Memory(sizes[index], time, time)).last = time
    for time, operator in enumerate(operators, 1):
        result = operator.outputs[0]
        for index in operator.inputs if operator.builtin in IN_PLACE else ():
            memory = memories.get(index)
            if memory is not None and memory.last == time and memory.nbytes == sizes[result]:
                memory.last = memories[result].last
                memories[result] = memory
                break
    place(list(dict.fromkeys(memories.values())))
    offsets = [memories[index].offset if index in memories else ELSEWHERE for index in range(count)]
    return np.array([VERSION, 0, count, *offsets], "<i4").tobytes()
