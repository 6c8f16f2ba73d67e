from __future__ import annotations

import math

import numpy as np
import pytest

from tests.validation.synthetic import make_item, noisy
from validation.theory import bound_violations, estimate_points, predicted_loss, theory_bins, upper_bound


def test_predicted_loss_has_the_known_values() -> None:
    assert predicted_loss(10, 30) == pytest.approx(0.0432, abs=1e-4)
    assert predicted_loss(25, 30) == pytest.approx(1.1933, abs=1e-4)
    assert predicted_loss(10, math.inf) == 0
    assert predicted_loss(60, -20) == pytest.approx(80, abs=1e-4)


def test_bound_of_one_source_without_correlation_is_the_prediction() -> None:
    assert upper_bound(12, 20, 1, 0) == pytest.approx(12 - predicted_loss(12, 20))
    assert upper_bound(12, 20, 2, 0.5) == pytest.approx(12 - 5 * math.log10(1 + 10 ** (-1.6)) + 10 * math.log10(2))


@pytest.mark.parametrize("seed", range(8))
def test_observed_loss_follows_the_prediction_and_the_bound_holds(seed: int) -> None:
    item = make_item(seed)
    floating = noisy(item.sources, 10, seed)
    noise = noisy(item.sources, 14, seed + 100) - item.sources / 32768
    points = estimate_points(item, floating, floating + noise)
    for point in points:
        assert point.loss == pytest.approx(predicted_loss(point.sdr, point.sqnr), abs=0.25)
    assert bound_violations(points) == []


def test_bound_catches_a_wrong_measurement() -> None:
    item = make_item(0)
    points = estimate_points(item, noisy(item.sources, 10, 1), noisy(item.sources, 10, 2))
    wrong = [point.model_copy(update={"sdr_quantized": point.sdr + 40, "correlation": 0.1}) for point in points]
    assert bound_violations(wrong) == ["x"]


def test_swapped_outputs_are_matched_before_they_are_compared() -> None:
    item = make_item(0)
    floating = noisy(item.sources, 10, 1)
    assert all(point.sqnr == math.inf for point in estimate_points(item, floating, floating[::-1]))


def test_bins_go_by_the_snr_of_the_source() -> None:
    item = make_item(4, snr_db=10.0)
    points = estimate_points(item, noisy(item.sources, 10, 1), noisy(item.sources, 9, 2))
    assert [(b.snr, b.n) for b in theory_bins(points)] == [(-10, 1), (10, 1)]
    assert np.isclose(theory_bins(points)[1].sdr, next(p.sdr for p in points if p.snr > 0))
