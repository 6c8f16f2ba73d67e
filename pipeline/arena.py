"""Places in the arena: memories whose lifetimes overlap must not, and the arena is to be hardly larger than what is alive at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

ALIGNMENT = 16
ENOUGH = 1.02  # times the bound; a search for better orders ends there
ROUNDS = 200


@dataclass(eq=False)
class Memory:
    """A stretch of the arena: ``nbytes`` from time ``first`` to ``last``, both included; ``offset`` is set when it gets its place."""

    nbytes: int
    first: int
    last: int
    reads: list[int] = field(default_factory=list)
    offset: int = -1


def lifetime_bound(memories: Sequence[Memory]) -> int:
    """The most bytes that are alive at one time: no plan needs less."""
    change = np.zeros(max((memory.last for memory in memories), default=0) + 2, np.int64)
    for memory in memories:
        change[memory.first] += _aligned(memory.nbytes)
        change[memory.last + 1] -= _aligned(memory.nbytes)
    return int(np.cumsum(change).max())


def place(memories: Sequence[Memory]) -> int:
    """Set the offset of every memory, and give the bytes of the arena.

    Each takes the lowest gap that fits, the largest first; then, until the arena is small enough, whichever reaches highest goes before the
    others in the order.
    """
    bound = lifetime_bound(memories)
    orders = [
        sorted(memories, key=lambda memory: -memory.nbytes),
        sorted(memories, key=lambda memory: -memory.nbytes * (memory.last - memory.first + 1)),
        sorted(memories, key=lambda memory: memory.first),
    ]
    best: tuple[int, list[int], list[Memory]] | None = None
    for order in orders:
        tried = list(order)
        for _ in range(ROUNDS):
            offsets = _first_fit(tried)
            ends = [offset + memory.nbytes for offset, memory in zip(offsets, tried, strict=True)]
            size = _aligned(max(ends, default=0))
            if best is None or size < best[0]:
                best = size, offsets, list(tried)
            if best[0] <= ENOUGH * bound:
                break
            highest = ends.index(max(ends))
            if highest == 0:
                break
            tried.insert(highest // 2, tried.pop(highest))
        if best is not None and best[0] <= ENOUGH * bound:
            break
    if best is None:
        return 0
    for memory, offset in zip(best[2], best[1], strict=True):
        memory.offset = offset
    return best[0]


def _first_fit(memories: Sequence[Memory]) -> list[int]:
    first, last = (np.array([getattr(memory, name) for memory in memories], np.int64) for name in ("first", "last"))
    sizes = np.array([_aligned(memory.nbytes) for memory in memories], np.int64)
    offsets = np.zeros(len(memories), np.int64)
    for index in range(len(memories)):
        beside = (first[:index] <= last[index]) & (first[index] <= last[:index])
        starts, ends = offsets[:index][beside], (offsets[:index] + sizes[:index])[beside]
        order = np.argsort(starts, kind="stable")
        free_from = np.maximum.accumulate(np.concatenate([[0], ends[order]]))
        gaps = np.concatenate([starts[order], [2**62]]) - free_from
        offsets[index] = free_from[int(np.argmax(gaps >= sizes[index]))]
    return [int(offset) for offset in offsets]


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
