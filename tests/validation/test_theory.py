from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from tests.validation.synthetic import make_item, noisy
from validation.sdr_bins import bin_of, bin_words, joined_bins, middle
from validation.theory import EstimatePoint, estimate_points, predicted_loss, sdr_bins, upper_bound


def test_predicted_loss_has_the_known_values() -> None:
    assert predicted_loss(10, 30) == pytest.approx(0.0432, abs=1e-4)
    assert predicted_loss(25, 30) == pytest.approx(1.1933, abs=1e-4)
    assert predicted_loss(10, math.inf) == 0
    assert predicted_loss(60, -20) == pytest.approx(80, abs=1e-4)


def test_bound_of_one_source_without_correlation_is_the_prediction() -> None:
    assert upper_bound(12, 20, 1, 0) == pytest.approx(12 - predicted_loss(12, 20))
    assert upper_bound(12, 20, 2, 0.5) == pytest.approx(12 - 5 * math.log10(1 + 10 ** (-1.6)) + 10 * math.log10(2))


@pytest.mark.parametrize("seed", range(8))
def test_observed_loss_follows_the_prediction(seed: int) -> None:
    item = make_item(seed)
    floating = noisy(item.sources, 10, seed)
    noise = noisy(item.sources, 14, seed + 100) - item.sources / 32768
    for point in estimate_points(item, floating, floating + noise):
        assert point.loss == pytest.approx(point.predicted, abs=0.25)
        assert point.excess == pytest.approx(point.loss - point.predicted)


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.floats(0.01, 10), st.floats(0, 0.99))
def test_no_noise_beats_the_bound(sources: int, seed: int, level: float, likeness: float) -> None:
    """Theorem III.1 with noise of any level that is like the model's own errors to any degree, in either sign."""
    rng = np.random.default_rng(seed)
    truth, errors, other = rng.standard_normal((3, sources, 64))
    noise = level * (likeness * rng.choice([-1, 1]) * errors + (1 - likeness) * other)
    energies = [np.sum(x**2, axis=1) for x in (truth, errors, noise, errors + noise)]
    sdr, sqnr, quantized = (float(np.mean(10 * np.log10(energies[0] / x))) for x in energies[1:])
    correlation = np.abs(np.sum(errors * noise, axis=1)) / np.sqrt(energies[1] * energies[2])
    assert quantized <= upper_bound(sdr, sqnr, sources, float(correlation.max())) + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_points_agree_with_torchmetrics_and_numpy(seed: int) -> None:
    """The estimates have a constant and a level of their own, which neither SDR nor SQNR may count."""
    item = make_item(seed)
    floating = 0.4 * noisy(item.sources, 12, seed) + 0.01
    quantized = noisy(floating * 32768, 20, seed + 100) + 0.003
    sources = item.sources / 32768
    mixture = sources.sum(axis=0)
    for found, source, estimate, after in zip(estimate_points(item, floating, quantized), sources, floating, quantized, strict=True):
        scaled = estimate - estimate.mean() - _projection(estimate, source)
        noise = after - estimate - (after - estimate).mean()
        assert found.sdr == pytest.approx(_si_sdr(estimate, source), abs=1e-3)
        assert found.sqnr == pytest.approx(_db(_projection(estimate, source), noise), abs=1e-6)
        assert found.sdr_quantized == pytest.approx(_db(_projection(estimate, source), scaled + noise), abs=1e-6)
        assert found.correlation == pytest.approx(abs(np.corrcoef(scaled, noise)[0, 1]), abs=1e-6)
        assert found.snr == pytest.approx(_db(source, mixture - source), abs=0.01)
        assert (found.id, found.source) == (item.id, int(np.flatnonzero((sources == source).all(axis=1))[0]))


def _projection(estimate: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The part of an estimate that least squares explains by the source, both without their means."""
    centred = source - source.mean()
    solution = np.linalg.lstsq(centred[:, None], estimate - estimate.mean(), rcond=None)[0]
    return np.asarray(centred * solution[0])


def _si_sdr(estimate: np.ndarray, source: np.ndarray) -> float:
    return float(scale_invariant_signal_distortion_ratio(torch.from_numpy(estimate), torch.from_numpy(source), zero_mean=True))


def _db(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(signal**2) / np.sum(noise**2)))


@pytest.mark.parametrize("sign", [-1, 1])
def test_correlation_has_no_sign(sign: int) -> None:
    """Noise that undoes half of the network's own errors is as correlated with them as noise that adds half."""
    item = make_item(0)
    errors = noisy(item.sources, 10, 50) - item.sources / 32768
    for found in estimate_points(item, item.sources / 32768 + errors, item.sources / 32768 + (1 + 0.5 * sign) * errors):
        assert found.correlation == pytest.approx(1, abs=0.01)
        assert math.copysign(1, found.loss) == sign


def test_swapped_outputs_are_matched_before_they_are_compared() -> None:
    item = make_item(0)
    floating = noisy(item.sources, 10, 1)
    assert all(point.sqnr == math.inf for point in estimate_points(item, floating, floating[::-1]))


def test_a_silent_estimate_has_no_sdr_and_loses_nothing_more() -> None:
    item = make_item(0)
    silent = np.zeros((2, item.samples))
    assert [(p.sdr, p.sdr_quantized, p.loss, p.excess) for p in estimate_points(item, silent, silent)] == [(-math.inf, -math.inf, 0, 0)] * 2


def point(sdr: float, loss: float, sqnr: float = 30.0) -> EstimatePoint:
    return EstimatePoint(id="x", source=0, snr=0, sdr=sdr, sdr_quantized=sdr - loss, sqnr=sqnr, correlation=0)


def test_bins_go_by_the_sdr_of_the_float_network() -> None:
    points = [point(sdr, loss) for sdr, loss in ((-40, 0), (-10, 0), (12, 0.1), (14.9, 0.3), (15, 0.2), (30, 1), (60, 29))]
    bins = sdr_bins("int8", points)
    assert [(b.low, b.high, b.n) for b in bins] == [
        (-math.inf, -10, 1), (-10, -5, 1), (10, 15, 2), (15, 20, 1), (30, math.inf, 2),
    ]  # fmt: skip
    assert bins[2].loss == pytest.approx(0.2) and bins[2].stage == "int8"
    assert bins[2].predicted == pytest.approx((predicted_loss(12, 30) + predicted_loss(14.9, 30)) / 2)
    assert bins[2].loss_interval.low == pytest.approx(0.1) and bins[2].loss_interval.high == pytest.approx(0.3)
    assert sum(b.n for b in bins) == len(points), "no estimate is left out"


@given(st.lists(st.floats(-60, 60), max_size=200), st.integers(1, 50))
def test_joined_bins_keep_every_estimate_and_are_large_enough(sdrs: list[float], least: int) -> None:
    bins = joined_bins(sdrs, least)
    assert sorted(position for positions in bins.values() for position in positions) == list(range(len(sdrs)))
    assert all(low <= sdrs[position] < high for (low, high), positions in bins.items() for position in positions)
    assert len(sdrs) < least or all(len(positions) >= least for positions in bins.values())
    assert len(sdrs) >= least or len(bins) <= 1
    edges = [edge for span in bins for edge in span]
    assert edges == sorted(edges)


def test_a_sparse_bin_joins_the_one_below_and_the_lowest_the_one_above() -> None:
    sdrs = [2.0] * 3 + [7.0] * 10 + [17.0] * 10 + [22.0] * 3
    assert {span: len(found) for span, found in joined_bins(sdrs, 10).items()} == {(0, 10): 13, (15, 25): 13}
    assert list(joined_bins([2.0] * 10 + [7.0] * 10, 10)) == [(0, 5), (5, 10)], "ten are enough"
    assert bin_words((15, 25)) == "15 to 25 dB" and bin_words((-math.inf, -10)) == "below -10 dB"
    assert bin_words((30, math.inf)) == "30 dB and more" and middle((30, math.inf)) == 32.5 and middle((-math.inf, -10)) == -12.5
    assert middle((10, 15)) == 12.5 and bin_of(-10.1) == (-math.inf, -10) and bin_of(30) == (30, math.inf)
