"""Level and segments: exactness on identities, alignment, and equality of streamed and whole."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_runtime.level import apply_shift, choose_shift, constant_of, remove_constant, undo_shift
from edge_runtime.runtime import open_runtime
from edge_runtime.segments import SegmentSeparator, align, cross_fade, separate, separate_blocks
from export_specs.foundation.errors import UserError

int16 = st.integers(-32768, 32767)


class Fake:
    """A runtime made of a function of one segment, int16 [T] to int16 [S, T]; keeps what it was given."""

    sample_rate = 8000
    source_names = ()

    def __init__(self, function, segment_samples=16, sources=2):
        self.function, self.segment_samples, self.sources = function, segment_samples, sources
        self.quantization, self.seen = {}, []

    def run(self, pcm):
        assert pcm.dtype == np.int16
        assert pcm.shape == (self.segment_samples,)
        self.seen.append(pcm)
        return np.asarray(self.function(pcm), np.int16)

    def run_with_taps(self, pcm):
        return self.run(pcm), {}


def identity(pcm):
    return np.stack([pcm, pcm])


@given(arrays(np.int16, st.integers(1, 20), elements=int16 | st.integers(-9, 9)))
def test_level_is_exact_and_brings_the_peak_into_the_upper_half(pcm):
    shift = choose_shift(pcm)
    levelled = apply_shift(pcm, shift)
    assert np.array_equal(levelled.astype(np.float64), pcm.astype(np.float64) * 2**shift)
    assert np.array_equal(undo_shift(levelled, shift), pcm)
    peak = np.abs(levelled.astype(np.int32)).max()
    assert 16384 <= peak <= 32768 or peak == shift == 0


@given(int16, st.integers(0, 14))
def test_undo_rounds_half_away_from_zero(sample, shift):
    expected = np.sign(sample) * np.floor(abs(sample) / 2**shift + 0.5)
    assert undo_shift(np.array([sample], np.int16), shift)[0] == expected


@given(arrays(np.int16, st.tuples(st.integers(1, 3), st.integers(1, 30)), elements=int16 | st.integers(-9, 9)), st.integers(0, 200))
def test_the_constant_is_the_mean_of_each_channel_in_whole_numbers(pcm, rate):
    for row, constant in zip(pcm.tolist(), constant_of(pcm)[:, 0].tolist(), strict=True):
        mean = Fraction(sum(row), len(row))
        assert abs(mean - constant) <= Fraction(1, 2)
        assert abs(mean - constant) < Fraction(1, 2) or abs(constant) > abs(mean)
    removed = remove_constant(pcm, rate)
    expected = np.clip(pcm.astype(int) - constant_of(pcm), -32768, 32767) if 4 * pcm.shape[1] >= rate else pcm
    assert removed.dtype == np.int16
    assert np.array_equal(removed, expected)


def test_a_constant_reaches_no_segment_and_no_result():
    """Of a network that gives what it gets: the sound alone comes out. A segment that is nothing else is silence, and is not run."""
    sound = (3000 * np.sin(np.arange(30000) * 0.7)).astype(np.int16)
    runtime = Fake(identity, segment_samples=8000)
    for constant in (0, 655, -4000):
        whole = separate(runtime, (sound + constant).astype(np.int16))
        assert np.abs(whole - sound).max() <= 2, "the mean of a segment of the sound is not quite 0"
    runtime.seen.clear()
    assert not separate(runtime, np.full(30000, 655, np.int16)).any()
    assert not runtime.seen
    short = separate(runtime, np.full(5000, 655, np.int16))
    assert short.shape == (2, 5000)
    assert not short.any()


@given(st.integers(1, 3), st.integers(1, 4000), st.integers(0, 5), st.integers(0, 9))
@settings(max_examples=40)
def test_one_sample_in_4096_may_leave_the_scale(channels, loudness, clicks, seed):
    pcm = np.random.default_rng(seed).integers(-loudness, loudness + 1, (channels, 4096)).astype(np.int16)
    pcm[0, : clicks * 7 : 7] = 30000
    shift = choose_shift(pcm)
    leaving = [np.count_nonzero(np.abs(pcm.astype(np.int64)) << k > 32767) for k in range(15)]
    assert shift == max(k for k in range(15) if k == 0 or leaving[k] <= channels)
    levelled = apply_shift(pcm, shift)
    assert np.array_equal(levelled, np.clip(pcm.astype(np.int64) << shift, -32768, 32767))


def test_a_click_does_not_choose_the_level_of_the_sound_around_it():
    sound = np.random.default_rng(0).integers(-300, 301, 24000).astype(np.int16)
    runtime = Fake(identity, segment_samples=24000)
    click = sound.copy()
    click[9000:9004] = [16000, -16000, 8000, -4000]
    separate(runtime, sound)
    separate(runtime, click)
    without, with_click = (segment.astype(int) for segment in runtime.seen)
    assert np.abs(without).max() >= 16384
    assert np.array_equal(np.delete(without, range(9000, 9004)), np.delete(with_click, range(9000, 9004)))
    assert np.abs(with_click[9000:9004]).min() >= 32767


def test_silence_and_nothing_have_no_gain():
    assert choose_shift(np.zeros(5, np.int16)) == 0
    assert choose_shift(np.zeros(0, np.int16)) == 0


@given(st.integers(0, 200), st.sampled_from([0.07, 0.25, 0.5]), st.sampled_from([1, 30, 32767]), st.integers(0, 9))
def test_identity_gives_its_input_at_any_length(length, overlap, peak, seed):
    pcm = np.random.default_rng(seed).integers(-peak, peak + 1, length).astype(np.int16)
    assert np.array_equal(separate(Fake(identity), pcm, overlap), np.stack([pcm, pcm]))


@given(st.integers(0, 120), st.lists(st.integers(0, 40), max_size=20))
@settings(max_examples=50)
def test_streamed_equals_whole(length, cuts):
    pcm = np.random.default_rng(length).integers(-3000, 3000, length).astype(np.int16)
    nonlinear = Fake(lambda x: [np.cumsum(x) % 999, x // 3])
    separator = SegmentSeparator(nonlinear)
    pieces = [separator.push(piece) for piece in np.split(pcm, sorted(min(cut * 3, length) for cut in cuts))]
    streamed = np.concatenate([*pieces, separator.finish()], axis=1)
    assert np.array_equal(streamed, separate(nonlinear, pcm))
    assert streamed.shape == (2, length)


def test_one_segment_is_the_runtimes_own_output(tflite_network, pcm):
    runtime = open_runtime(tflite_network, "litert-ref")
    assert np.array_equal(separate(runtime, pcm), runtime.run(pcm))
    soft = (pcm >> 7).astype(np.int16)
    shift = choose_shift(soft)
    assert shift == 7
    assert np.array_equal(separate(runtime, soft), undo_shift(runtime.run(soft << shift), shift))
    padded = np.pad(pcm[:40], (0, 24))
    assert np.array_equal(separate(runtime, pcm[:40]), runtime.run(padded << choose_shift(padded))[:, :40])


def test_segments_overlap_and_the_last_one_ends_with_the_recording():
    fake = Fake(identity)
    separate(fake, np.arange(20000, 20030, dtype=np.int16), 0.25)
    assert [(int(segment[0]) - 20000, int(segment[-1]) - 20000) for segment in fake.seen] == [(0, 15), (12, 27), (14, 29)]
    for length, segments in ((16, 1), (17, 2), (28, 2), (29, 3)):
        fake.seen.clear()
        separate(fake, np.ones(length, np.int16), 0.25)
        assert len(fake.seen) == segments


@pytest.mark.parametrize("sources", [2, 3])
def test_sources_that_the_model_swaps_are_put_back(sources):
    rng = np.random.default_rng(0)
    voices = rng.integers(-8000, 8000, (sources, 500)).astype(np.int16)
    calls = []

    def swapping(_):
        start = min(12 * len(calls), 500 - 16)
        calls.append(start)
        return np.roll(voices[:, start : start + 16], len(calls) - 1, axis=0)

    mixture = np.full(500, 20000, np.int16)  # at full level, so that no gain is applied
    assert np.array_equal(separate(Fake(swapping, sources=sources), mixture), voices)


@pytest.mark.parametrize(("noise", "kept"), [(3, True), (100, True), (3000, False)])
def test_speakers_keep_their_places_over_a_pause(noise, kept):
    """In a pause the outputs are noise, whose likeness says nothing of who is who; 30 dB below the speech it is not asked."""
    rng = np.random.default_rng(0)
    voices = rng.integers(-8000, 8000, (2, 500)).astype(np.int16)
    voices[:, 200:300] = rng.integers(-noise, noise + 1, (2, 100))
    calls = []

    def network(_):
        start = min(12 * len(calls), 500 - 16)
        calls.append(start)
        rows = voices[:, start : start + 16].copy()
        noisy = (np.arange(start, start + 16) >= 200) & (np.arange(start, start + 16) < 300)
        rows[:, noisy] = rows[::-1, noisy] if start >= 240 else rows[:, noisy]  # from there on the noise comes the other way round
        return rows

    separated = separate(Fake(network), np.full(500, 20000, np.int16))
    assert np.array_equal(separated[:, :190], voices[:, :190])
    assert np.array_equal(separated[:, 310:], voices[:, 310:]) is kept


def test_align_is_one_to_one_and_keeps_the_order_of_silence():
    loud, soft = np.arange(8) * 1000, np.arange(8)[::-1] * 10
    assert align(np.int16([loud, soft]), np.int16([loud, loud // 2])) == [0, 1]
    assert align(np.int16([soft, loud]), np.int16([loud, soft])) == [1, 0]
    assert align(np.zeros((3, 8), np.int16), np.ones((3, 8), np.int16)) == [0, 1, 2]


def test_cross_fade_is_linear_and_symmetric():
    faded = cross_fade(np.full((1, 4), 800, np.int16), np.zeros((1, 4), np.int16))
    assert faded.tolist() == [[700, 500, 300, 100]]
    full = np.full((1, 4), -32768, np.int16)
    assert np.array_equal(cross_fade(full, full), full)


def test_a_silent_segment_is_not_run_and_fades_its_predecessor_out():
    runtime = Fake(lambda pcm: np.stack([pcm + 100, pcm - 100]))
    assert not separate(runtime, np.zeros(50, np.int16)).any()
    assert not runtime.seen
    pcm = np.concatenate([np.full(16, 20000, np.int16), np.zeros(40, np.int16)])
    whole = separate(runtime, pcm, 0.25)
    assert [segment.any() for segment in runtime.seen] == [True, True]
    assert whole[0, :12].tolist() == [20100] * 12
    assert not whole[:, 28:].any()
    separator = SegmentSeparator(runtime, 0.25)
    pieces = [separator.push(pcm[start : start + 7]) for start in range(0, len(pcm), 7)]
    assert np.array_equal(np.concatenate([*pieces, separator.finish()], axis=1), whole)


def test_silence_in_is_silence_out():
    assert not separate(Fake(identity), np.zeros(50, np.int16)).any()


def test_blocks_come_back_as_soon_as_a_segment_is_full():
    """However long the recording is, no more than a segment of it waits."""
    pcm = np.random.default_rng(0).integers(-3000, 3000, 300).astype(np.int16)
    given, waiting = 0, []
    pieces = []
    taken = iter(np.split(pcm, 30))

    def blocks():
        nonlocal given
        for block in taken:
            waiting.append(given - sum(piece.shape[-1] for piece in pieces))
            given += len(block)
            yield block

    for piece in separate_blocks(Fake(identity), blocks()):
        pieces.append(piece)
    assert np.array_equal(np.concatenate(pieces, axis=1), np.stack([pcm, pcm]))
    assert max(waiting) <= 16


@pytest.mark.parametrize("overlap", [0, -0.1, 0.51, 0.001, float("nan")])
def test_overlap_out_of_range(overlap):
    with pytest.raises(UserError, match="overlap"):
        separate(Fake(identity), np.ones(100, np.int16), overlap)
