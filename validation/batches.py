"""Mixtures in batches: a sweep takes as many as its means need to be known, instead of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from validation.bootstrap import Interval

T = TypeVar("T")

FIRST = 16  # of fewer, a bootstrap makes intervals that are too narrow
WIDTH_DB = 0.1  # of a 95 % interval: half of the narrowest limit's two sides


def doubling(items: Sequence[T], first: int = FIRST) -> Iterator[list[T]]:
    """All items, in batches of which each doubles what came before and is spread evenly over the whole."""
    taken: set[int] = set()
    count = first
    while len(taken) < len(items):
        count = min(count, len(items))
        new = [index for index in (number * len(items) // count for number in range(count)) if index not in taken]
        taken.update(new)
        yield [items[index] for index in new]
        count *= 2


def until_known(items: Sequence[T], measure: Callable[[list[T]], None], intervals: Callable[[], Iterable[Interval]]) -> None:
    """Measure batch after batch until every interval is at most WIDTH_DB wide, or the items are at an end.

    Args:
        measure: takes one batch and keeps what it finds.
        intervals: of the means of everything found so far, in dB.
    """
    for batch in doubling(items):
        measure(batch)
        if all(interval.high - interval.low <= WIDTH_DB for interval in intervals()):
            return
