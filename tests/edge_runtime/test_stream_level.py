"""The level of a stream: nothing is clipped, a constant goes, and the gain is undone sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.stream_level import LARGEST_SHIFT, StreamLevel

RATE, HOP = 8000, 64


def tone(seconds: float, peak: float, hertz: float = 300) -> np.ndarray:
    return np.rint(peak * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.int16)


def levelled(pcm: np.ndarray, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The samples at level, and the shift of each."""
    level = StreamLevel(RATE, shift)
    pairs = [level.apply(pcm[start : start + HOP]) for start in range(0, len(pcm), HOP)]
    return np.concatenate([hop for hop, _ in pairs]), np.concatenate([np.full(len(hop), shift) for hop, shift in pairs])


@pytest.mark.parametrize("peak", [30, 500, 9000])
def test_a_soft_tone_is_raised_by_a_doubling_a_second_until_its_peak_is_above_a_quarter(peak: int) -> None:
    loud, shifts = levelled(tone(12, peak))
    assert set(np.diff(shifts)) <= {0, 1}
    raises = np.flatnonzero(np.diff(shifts))
    assert (np.diff(raises) >= RATE - HOP).all()
    end = np.abs(loud[-RATE:].astype(int)).max()
    assert 8192 <= end < 32767 or shifts[-1] == LARGEST_SHIFT


def test_what_gets_loud_is_not_clipped_and_what_gets_soft_is_raised_later() -> None:
    pcm = np.concatenate([tone(8, 300), tone(1, 30000), tone(20, 300)])
    loud, shifts = levelled(pcm)
    assert shifts[8 * RATE - 1] == 5 and shifts[8 * RATE + HOP] == 0
    assert np.abs(loud.astype(int)).max() < 32767
    later = np.flatnonzero(shifts[9 * RATE :] > 0)[0] / RATE
    assert (
        5 * np.log(30000 / 8192) - 1.5 < later < 5 * np.log(30000 / 8192) + 1.5
    )  # an exponential fall from the peak to a quarter of the scale
    assert shifts[-1] >= 4


@pytest.mark.parametrize("constant", [-900, 2000])
def test_a_constant_goes_and_the_sound_stays(constant: int) -> None:
    sound = tone(10, 3000)
    heard, shifts = levelled(sound + np.int16(constant))
    last = slice(-2 * RATE, None)
    rest = heard[last] / 2.0 ** shifts[last]
    assert abs(rest.mean()) < 0.02 * abs(constant)
    assert np.sqrt(np.mean((rest - sound[last]) ** 2)) < 0.02 * abs(constant)
    at_once, _ = levelled(np.full(RATE, constant, np.int16))
    assert np.abs(np.diff(at_once.astype(int))).max() < abs(constant)  # no step where it begins to be known


def test_silence_has_no_gain_to_be_raised() -> None:
    heard, shifts = levelled(np.zeros(3 * RATE, np.int16), shift=2)
    assert not heard.any() and (shifts == 2).all()


def test_full_scale_stays_within_int16() -> None:
    heard, shifts = levelled(np.tile(np.array([-32768, 32767], np.int16), 2 * HOP), shift=3)
    assert (shifts == 0).all() and (np.abs(heard.astype(int)) >= 32766).all()


def test_a_stream_begins_with_the_largest_gain_which_the_first_sound_lowers() -> None:
    level = StreamLevel(RATE)
    for pcm, shift in ((np.zeros(HOP, np.int16), LARGEST_SHIFT), (tone(HOP / RATE, 900), 5), (tone(HOP / RATE, 9000), 1)):
        assert level.apply(pcm)[1] == shift
