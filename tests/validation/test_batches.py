"""Batches of mixtures: all of them in the end, each once, each batch spread over the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.batches import doubling, until_known
from validation.bootstrap import Interval


@given(st.integers(0, 300), st.integers(1, 40))
def test_every_item_comes_once(count: int, first: int) -> None:
    batches = list(doubling(range(count), first))
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert all(batches)


def test_each_batch_is_spread_over_the_whole() -> None:
    """A set's first items may be of one kind, as pairs at one ratio are."""
    first, second, *_ = doubling(range(96), 16)
    assert first == list(range(0, 96, 6))
    assert second == list(range(3, 96, 6))


@pytest.mark.parametrize(("widths", "measured"), [([0.05], 16), ([0.1001, 0.1], 32), ([0.2, 0.2, 0.2, 0.2], 100)])
def test_measuring_ends_with_the_first_interval_that_is_narrow(widths: list[float], measured: int) -> None:
    found: list[int] = []
    batches: list[int] = []

    def measure(batch: list[int]) -> None:
        found.extend(batch)
        batches.append(len(batch))

    until_known(range(100), measure, lambda: [Interval(low=-0.01, high=0.01), Interval(low=0.0, high=widths[len(batches) - 1])])
    assert len(found) == len(set(found)) == measured
