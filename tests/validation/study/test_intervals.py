"""The interval of a mean over seeds and clusters, against simulation and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from validation.bootstrap import mean_interval
from validation.study.intervals import clustered_mean


def test_with_one_seed_and_clusters_of_one_it_is_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 80)
    found, expected = clustered_mean(values, [f"m{k}" for k in range(80)]), mean_interval(values)
    assert found.mean == pytest.approx(values.mean()) and found.n == 80
    assert (found.interval.low, found.interval.high) == (pytest.approx(expected.low, abs=0.08), pytest.approx(expected.high, abs=0.08))


def test_estimates_that_stand_together_tell_less() -> None:
    """Copies of an estimate in its cluster do not narrow the interval."""
    values = np.random.default_rng(1).normal(0.0, 1.0, 40)
    once = clustered_mean(values, [str(k) for k in range(40)])
    thrice = clustered_mean(np.repeat(values, 3), [str(k) for k in range(40) for _ in range(3)])
    apart = clustered_mean(np.repeat(values, 3), [str(k) for k in range(120)])
    assert thrice.interval == pytest.approx(once.interval) or abs(thrice.interval.low - once.interval.low) < 1e-9
    assert apart.interval.high - apart.interval.low < 0.7 * (once.interval.high - once.interval.low)


def test_seeds_that_differ_widen_it() -> None:
    values = np.random.default_rng(2).normal(0.0, 0.1, (3, 50))
    clusters = [str(k) for k in range(50)]
    same, shifted = clustered_mean(values, clusters), clustered_mean(values + np.array([[-1.0], [0.0], [1.0]]), clusters)
    assert same.interval.high < 0.1 < 0.5 < shifted.interval.high
    assert shifted.mean == pytest.approx(same.mean)
    assert not shifted.decided


def test_clusters_weigh_by_their_estimates() -> None:
    found = clustered_mean([0.0, 3.0, 3.0], ["a", "b", "b"])
    assert found.mean == pytest.approx(2.0)
    assert (found.interval.low, found.interval.high) == (0.0, 3.0)


def test_what_leaves_0_out_is_decided() -> None:
    assert clustered_mean([1.0, 1.1, 0.9], list("abc")).decided
    assert clustered_mean([-1.0, -1.1], list("ab")).decided
    assert clustered_mean([0.5, 0.5], list("ab")).words() == "0.50 [0.50, 0.50]"
    with pytest.raises(ValueError, match="no estimates"):
        clustered_mean(np.zeros((2, 0)), [])
