"""Scores on several processors are those of one, and what is known of the float stage is not computed again."""

from __future__ import annotations

import os
from typing import Any

import pytest

from export_specs.foundation.errors import UserError
from tests.validation.synthetic import RATE, make_item, noisy
from validation import ladder
from validation.ladder import score_item
from validation.scoring import scorer


def jobs(count: int) -> list[tuple[Any, ...]]:
    items = [make_item(seed, f"m{seed}", samples=4000) for seed in range(count)]
    return [(item, noisy(item.sources, 15, 1)[::-1], noisy(item.sources, 20, 2), RATE, None) for item in items]


def test_two_processes_give_what_one_gives() -> None:
    with scorer(1) as one, scorer(2) as two:
        expected = list(one.map(score_item, jobs(3)))
        assert list(two.map(score_item, jobs(3))) == expected
    assert [score.id for score in expected] == ["m0", "m1", "m2"] and all(score.order == (1, 0) for score in expected)


def test_a_known_float_score_changes_nothing_but_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    item, estimates, reference, rate, _ = jobs(1)[0]
    floating, whole = score_item(item, reference, reference, rate), score_item(item, estimates, reference, rate)
    counted: list[None] = []
    original = ladder.matched
    monkeypatch.setattr(ladder, "matched", lambda *arguments: (counted.append(None), original(*arguments))[1])
    assert score_item(item, estimates, reference, rate, floating) == whole
    assert len(counted) == 1


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(UserError, match="a process that scored mixtures died"), scorer(2) as scoring:
        list(scoring.map(os._exit, [(3,)]))
