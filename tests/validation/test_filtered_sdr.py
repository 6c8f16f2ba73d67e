"""BSS Eval's SDR beside torchmetrics' implementation of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from torchmetrics.functional.audio import signal_distortion_ratio

from tests.validation.synthetic import make_item, noisy
from validation.filtered_sdr import filtered_sdr


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_torchmetrics(seed: int) -> None:
    item = make_item(seed)
    for estimate, source in zip(noisy(item.sources, 8, seed) * (0.1 + seed), item.sources, strict=True):
        expected = signal_distortion_ratio(torch.from_numpy(estimate), torch.from_numpy(source.astype(np.float64)), filter_length=512)
        assert filtered_sdr(estimate, source) == pytest.approx(float(expected), abs=1e-3)


def test_a_filter_of_so_many_taps_is_forgiven_and_no_longer_one() -> None:
    source = np.random.default_rng(0).standard_normal(8000)
    room = np.zeros(512)
    room[[0, 100, 511]] = 1, 0.5, -0.3
    assert filtered_sdr(lfilter(room, 1, np.append(source, np.zeros(511)))[:8000], source) > 20
    late = np.append(np.zeros(600), source)[:8000]
    assert filtered_sdr(late, source) < -5


def test_edges() -> None:
    source = np.random.default_rng(0).standard_normal(4000)
    assert filtered_sdr(np.zeros(4000), source) == -math.inf
    assert filtered_sdr(-3 * source, source) > 90
    with pytest.raises(ValueError, match="silent"):
        filtered_sdr(source, np.zeros(4000))
    constant = np.ones(4000)  # of which every delay says nearly the same: the matrix has hardly a rank
    assert filtered_sdr(constant + 0.1 * source, constant) == pytest.approx(20, abs=1)
