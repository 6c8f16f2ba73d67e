"""A stream of hops: alignment, pieces of any size, and several streams; on a made-up step that only delays."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.live import run_live
from edge_runtime.segments import SegmentSeparator
from edge_runtime.separator import Separator, pushed
from edge_runtime.stream import StreamSeparator
from edge_runtime.stream_level import StreamLevel
from export_specs.foundation.errors import UserError
from tests.edge_runtime.test_runtime_segments import Fake, identity

HOP = 12


class Steps:
    """Gives the samples of ``late`` before and their halves; a state is a list of what was heard."""

    sources, source_names, sample_rate, hop_samples = 2, (), 8000, HOP

    def __init__(self, late: int) -> None:
        self.late_samples, self.latency_samples = late, late + HOP
        self.steps = 0

    def start(self) -> list[np.ndarray]:
        return [np.zeros(self.late_samples, np.int16)]

    def step(self, pcm: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        assert pcm.shape == (HOP,) and pcm.dtype == np.int16
        self.steps += 1
        states.append(pcm)
        heard = np.concatenate(states)
        one = heard[(len(states) - 2) * HOP :][:HOP]
        return np.stack([one, one // 2])


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3000, 3000, count).astype(np.int16)


def heard(pcm: np.ndarray) -> np.ndarray:
    """What the network should give for a stream: its samples without the constant, whatever the gain."""
    level = StreamLevel(8000)
    pairs = [level.apply(pcm[start : start + HOP]) for start in range(0, len(pcm), HOP)]
    return np.concatenate([hop >> shift for hop, shift in pairs] or [pcm])


@given(st.integers(0, 200), st.sampled_from([0, 3, 4, 30]), st.lists(st.integers(0, 40), max_size=8))
def test_pieces_of_any_size_give_each_sample_once_and_in_its_place(count: int, late: int, cuts: list[int]) -> None:
    pcm, separator = noise(count), StreamSeparator(Steps(late))  # type: ignore[arg-type]
    places = np.minimum(np.cumsum([0, *cuts]), count).tolist()
    given_at = [separator.push(pcm[start:end]) for start, end in zip(places, [*places[1:], count], strict=True)]
    result = np.concatenate([*given_at, separator.finish()], axis=1)
    np.testing.assert_array_equal(result[0], heard(pcm))
    again = np.concatenate(list(pushed(separator, [pcm], 1000)), axis=1)
    np.testing.assert_array_equal(again, result)  # and it was as new


@pytest.mark.parametrize("separator", [
    StreamSeparator(Steps(4)),  # type: ignore[arg-type]
    StreamSeparator(Steps(30)),  # type: ignore[arg-type]
    SegmentSeparator(Fake(identity)),
], ids=["late", "later", "segments"])  # fmt: skip
def test_the_latency_is_what_is_said(separator: Separator) -> None:
    """Sample by sample: the longest that one waits, from its beginning to the end of the last one that it waits for."""
    given_at: list[int] = []
    for number, sample in enumerate(noise(500)):
        given_at += [number + 1] * separator.push(np.array([sample])).shape[1]
    waited = np.array(given_at) - np.arange(len(given_at))
    assert waited.max() == separator.latency_samples
    separator.reset()
    assert separator.finish().shape[1] == 0


def test_the_gain_is_undone_of_the_samples_that_had_it() -> None:
    pcm = np.concatenate([np.tile([40, -40], 9000), np.tile([20000, -20000], 400)]).astype(np.int16)
    separator = StreamSeparator(Steps(30), shift=3)  # type: ignore[arg-type]
    result = np.concatenate([separator.push(pcm), separator.finish()], axis=1)[0]
    assert np.abs(result.astype(int) - pcm).max() <= 1  # the constant of a hop that the change falls in


def test_silence_is_run_too() -> None:
    steps = Steps(4)
    StreamSeparator(steps).push(np.zeros(10 * HOP, np.int16))  # type: ignore[arg-type]
    assert steps.steps == 10


def test_streams_on_one_runtime_do_not_hear_each_other() -> None:
    steps = Steps(4)
    first, second = (StreamSeparator(steps) for _ in range(2))  # type: ignore[arg-type]
    pcms, results = (noise(100, 1), noise(100, 2)), ([], [])
    for start in range(0, 100, 7):
        for separator, pcm, result in zip((first, second), pcms, results, strict=True):
            result.append(separator.push(pcm[start : start + 7]))
    for separator, pcm, result in zip((first, second), pcms, results, strict=True):
        np.testing.assert_array_equal(np.concatenate([*result, separator.finish()], axis=1)[0], heard(pcm))


@pytest.mark.parametrize("chosen", [None, 1, 2])
def test_live_from_pipe_to_pipe(chosen: int | None) -> None:
    pcm, sink, separator = noise(100), io.BytesIO(), StreamSeparator(Steps(4))  # type: ignore[arg-type]
    run_live(separator, io.BytesIO(pcm.astype("<i2").tobytes()), sink, HOP, chosen)
    found = np.frombuffer(sink.getvalue(), "<i2").reshape(100, -1).T
    want = np.concatenate(list(pushed(separator, [pcm], 100)), axis=1)
    np.testing.assert_array_equal(found, want if chosen is None else want[chosen - 1 : chosen])


def test_live_ends_with_its_reader_and_not_within_a_sample() -> None:
    separator = StreamSeparator(Steps(4))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="end within one"):
        run_live(separator, io.BytesIO(b"abc"), io.BytesIO(), HOP)

    class Gone(io.BytesIO):
        def write(self, _: object) -> int:
            raise BrokenPipeError

    run_live(separator, io.BytesIO(bytes(1000)), Gone(), HOP)
