from __future__ import annotations

import math
import warnings

import numpy as np
import pystoi
import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from tests.validation.synthetic import RATE, make_item, noisy
from validation.bootstrap import mean_interval, paired_differences
from validation.metrics import sdr, si_sdr, source_snr, sqnr, stoi
from validation.permutation import best_order


@pytest.mark.parametrize("seed", range(5))
def test_si_sdr_equals_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = rng.standard_normal(4000) + 0.3
    estimate = 0.4 * source + rng.standard_normal(4000) * 10 ** rng.uniform(-3, 1) - 0.2
    expected = scale_invariant_signal_distortion_ratio(torch.from_numpy(estimate), torch.from_numpy(source), zero_mean=True)
    assert si_sdr(estimate, source) == pytest.approx(float(expected), abs=1e-6)


def test_si_sdr_of_orthogonal_noise_is_the_energy_ratio() -> None:
    time = np.arange(8000) / 8000
    source, noise = np.sin(2 * np.pi * 100 * time), 0.1 * np.sin(2 * np.pi * 300 * time)
    assert si_sdr(source + noise, source) == pytest.approx(20, abs=1e-9)
    assert si_sdr(-7 * (source + noise), source) == pytest.approx(20, abs=1e-9)


def test_extremes_are_infinite_and_never_hidden() -> None:
    source = np.sin(np.arange(1000.0))
    assert si_sdr(np.zeros(1000), source) == -math.inf
    assert sqnr(source, source) == math.inf
    assert sqnr(np.zeros(4), np.zeros(4)) == math.inf
    assert sqnr(np.zeros(4), np.ones(4)) == -math.inf
    with pytest.raises(ValueError, match="silent"):
        si_sdr(source, np.zeros(1000))
    with pytest.raises(ValueError, match="shapes"):
        si_sdr(source, source[1:])


def test_sdr_and_sqnr_equal_torchmetrics_snr() -> None:
    item = make_item(1)
    estimate = noisy(item.sources, 12, 3)
    truth = item.sources / 32768
    expected = signal_noise_ratio(torch.from_numpy(estimate), torch.from_numpy(truth))
    assert sdr(estimate, truth) == pytest.approx(expected.tolist(), abs=1e-6)
    assert sqnr(truth, estimate) == pytest.approx(10 * math.log10((truth**2).sum() / ((estimate - truth) ** 2).sum()))


def test_source_snr_of_two_sources_is_opposite() -> None:
    item = make_item(1, snr_db=10.0)
    first, second = source_snr(item.sources, item.mixture)
    assert first == pytest.approx(10, abs=0.05) and second == pytest.approx(-first)


def test_stoi_orders_quality() -> None:
    item = make_item(2)
    good, bad = (stoi(noisy(item.sources, level, 1)[0], item.sources[0] / 32768, RATE) for level in (20, -5))
    assert good is not None and bad is not None and 0 < bad < good <= 1


@pytest.mark.parametrize("rate", [8000, 10000, 16000, 44100])
@pytest.mark.parametrize("samples", [1, 90, 256, 400, 1500, 3200, 3300, 4000, 6000, 20000])
def test_stoi_is_pystoi_s_or_undefined(rate: int, samples: int) -> None:
    """pystoi raises AxisError of 90 samples, and gives 1e-5 with a warning where less than 30 frames are left: neither is a score."""
    rng = np.random.default_rng(samples)
    source = rng.standard_normal(samples)
    estimate = source + 0.1 * rng.standard_normal(samples)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            expected = pystoi.stoi(source, estimate, rate)
        except np.exceptions.AxisError:
            expected = None
    found = stoi(estimate, source, rate)
    assert found == (None if warned else expected)
    assert (found is None) is (samples < 0.41 * rate)


def test_stoi_of_a_long_pause_with_one_word_is_undefined() -> None:
    source = np.zeros(20000)
    source[:1500] = np.random.default_rng(0).standard_normal(1500)
    assert stoi(source, source, RATE) is None


def test_order_is_one_to_one_where_independent_choice_would_double() -> None:
    item = make_item(3)
    first, second = item.sources / 32768
    estimates = np.stack([first + 0.3 * second, first + 0.6 * second])
    order, ratios = best_order(estimates, item.sources)
    assert sorted(order) == [0, 1] and order == (0, 1)
    assert best_order(estimates[::-1], item.sources)[0] == (1, 0)
    assert best_order(estimates[::-1], item.sources)[1] == ratios


def test_order_with_a_perfect_and_a_silent_estimate() -> None:
    item = make_item(3)
    order, ratios = best_order(np.stack([np.zeros(RATE), item.sources[0]]), item.sources)
    assert order == (1, 0) and ratios[1] == -math.inf


def test_bootstrap_is_seeded_and_covers() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        values = rng.normal(0.2, 1, 50)
        interval = mean_interval(values, resamples=400)
        assert interval == mean_interval(values, resamples=400)
        hits += interval.low <= 0.2 <= interval.high
    assert hits >= 50


def test_equal_infinite_scores_differ_by_nothing() -> None:
    assert list(paired_differences([-math.inf, 1, 2], [-math.inf, 3, -math.inf])) == [0, 2, -math.inf]
