"""Whole tracks, piece by piece, beside the scores of whole waveforms in float64."""

from __future__ import annotations

import numpy as np
import pytest

from validation.evaluation_set import Item
from validation.ladder import score_item
from validation.stages import FULL_SCALE
from validation.whole_set.tracks import score_track

RATE = 400  # a second is short, so that a track of many pieces is


def track(seconds: float, silent: slice | None = None) -> tuple[Item, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    sources = random.normal(40, 3000, (4, 2, int(seconds * RATE))).astype(np.int16)
    if silent is not None:
        sources[1, :, silent] = 0
    estimates = (sources * 0.8 + random.normal(0, 900, sources.shape)).astype(np.int16)
    reference = (sources * 0.8 + random.normal(0, 700, sources.shape)).astype(np.int16)
    return Item("x", "tracks", None, sources.sum(axis=0).astype(np.int16), sources, True), estimates, reference


@pytest.mark.parametrize(
    ("seconds", "silent"),
    [(25.3, None), (20, slice(0, 3 * RATE)), (0.6, None), (3, slice(0, 2 * RATE + RATE // 2)), (12, slice(RATE // 2, 5 * RATE))],
)
def test_pieces_give_what_the_whole_gives(seconds: float, silent: slice | None) -> None:
    item, estimates, reference = track(seconds, silent)
    found = score_track(item, estimates, reference, RATE)
    whole = score_item(item, estimates / FULL_SCALE, reference / FULL_SCALE, RATE)
    for name in ("si_sdr", "si_sdr_input", "sdr", "sqnr", "source_si_sdr", "source_sdr"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), abs=1e-6), name
    assert (found.order, found.stoi, found.id, found.subset) == (whole.order, None, "x", "tracks")


def test_equal_and_silent_estimates() -> None:
    item, estimates, _ = track(11)
    assert score_track(item, estimates, estimates, RATE).sqnr == np.inf
    assert score_track(item, np.zeros_like(estimates), estimates, RATE).source_si_sdr == (-np.inf,) * 4
