"""Levels and SNR of mixtures, measured apart from the code that sets them."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.mixing import at_loudness, loudness, mix_at_snr, on_pcm_grid

RATE = 8000


def speechlike(seed: int, samples: int = RATE) -> np.ndarray:
    random = np.random.default_rng(seed)
    envelope = 0.2 + np.abs(np.sin(np.arange(samples) / RATE * 2 * np.pi * random.uniform(1, 4)))
    return (random.standard_normal(samples) * envelope * 0.05).astype(np.float32)


def snr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(first.astype(np.float64) ** 2) / np.sum(second.astype(np.float64) ** 2)))


@given(st.integers(0, 1000), st.floats(-40, 10), st.floats(-20, 20))
def test_measured_snr_is_the_wanted_one(seed: int, level_db: float, wanted: float) -> None:
    first, second = speechlike(seed), speechlike(seed + 1) * np.float32(10 ** (level_db / 20))
    mixed = mix_at_snr(first, second, wanted)
    assert snr(*mixed) == pytest.approx(wanted, abs=1e-4)
    assert np.abs(mixed[0] + mixed[1]).max() <= 0.9 + 1e-6


def test_louder_source_is_lowered_by_the_corrected_factor() -> None:
    first, second = speechlike(0), speechlike(1)
    second *= np.float32(10 ** ((snr(first, second) - 3) / 20))  # alpha = 3 dB
    kept, lowered = mix_at_snr(first, second, 10.0)  # beta = 10 dB: the paper prints sqrt(3 / 10) = 0.548
    np.testing.assert_array_equal(kept, first)
    assert np.max(lowered) / np.max(second) == pytest.approx(0.447, abs=5e-4)
    lowered, kept = mix_at_snr(first, second, -10.0)  # printed formula: undefined
    np.testing.assert_array_equal(kept, second)
    assert np.max(lowered) / np.max(first) == pytest.approx(10 ** (-13 / 20), rel=1e-4)


def test_source_without_power_is_left_alone() -> None:
    first, second = mix_at_snr(speechlike(0), np.zeros(RATE, np.float32), 5.0)
    np.testing.assert_array_equal(first, speechlike(0))
    assert not second.any()


@given(st.integers(0, 1000), st.floats(-33, -25))
def test_loudness_by_pyloudnorm(seed: int, wanted: float) -> None:
    waveform = speechlike(seed)
    scaled = at_loudness(waveform, loudness(waveform, RATE), wanted)
    assert pyloudnorm.Meter(RATE).integrated_loudness(scaled.astype(np.float64)) == pytest.approx(wanted, abs=1e-3)


def test_peak_is_limited() -> None:
    click = np.zeros(RATE, np.float32)
    click[::2000] = 1.0
    assert np.abs(at_loudness(click, loudness(click, RATE), -10.0)).max() == pytest.approx(0.9)


def test_pcm_grid() -> None:
    codes = on_pcm_grid(np.array([-2, -1, 0.3 / 32768, 0.7 / 32768, 1], np.float32)) * 32768
    np.testing.assert_array_equal(codes, [-32768, -32768, 0, 1, 32767])
