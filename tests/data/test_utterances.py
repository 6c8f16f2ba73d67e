"""Utterances that are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from export_specs.foundation.errors import UserError
from pipeline.data import utterances
from pipeline.data.examples import Examples
from pipeline.data.mixing import load_utterance, loudness
from pipeline.data.noisy_speech import NoisySpeech
from pipeline.data.training_set import CROPS, TrainingMixtures, random_crop
from pipeline.data.utterances import Utterances
from tests.tiny import SAMPLE_RATE, write_speech

Files = list[tuple[str, Path]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write_speech(tmp_path / "speech")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths as they are read."""
    read: list[Path] = []

    def recorded(path: Path, sample_rate: int) -> np.ndarray:
        read.append(path)
        return load_utterance(path, sample_rate)

    monkeypatch.setattr(utterances, "load_utterance", recorded)
    return read


def large(monkeypatch: pytest.MonkeyPatch, cached_bytes: int) -> None:
    monkeypatch.setattr(utterances, "SMALL_BYTES", 0)
    monkeypatch.setattr(utterances, "CACHED_BYTES", cached_bytes)


def test_a_small_set_is_read_once_at_once(files: Files, reads: list[Path]) -> None:
    examples = TrainingMixtures(files, SAMPLE_RATE, 800, 20, 0, True)
    assert reads == [path for _, path in files]
    for index in range(20):
        examples[index]
    assert len(reads) == len(files)


def test_of_a_large_set_nothing_is_read_until_it_is_asked_for(files: Files, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    large(monkeypatch, 2 * 4 * SAMPLE_RATE)  # two utterances
    found = Utterances(files, SAMPLE_RATE)
    assert not reads
    for index in (0, 1, 0, 1, 2, 1, 0):
        np.testing.assert_array_equal(found.waveform(index), load_utterance(files[index][1], SAMPLE_RATE))
    assert [files.index(next(file for file in files if file[1] == path)) for path in reads] == [0, 1, 2, 0]


@pytest.mark.parametrize("kind", [TrainingMixtures, partial(NoisySpeech, snr_db=(-5.0, 10.0))])
def test_examples_do_not_depend_on_what_is_in_memory(kind: Callable[..., Examples], files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    small = kind(files, SAMPLE_RATE, 800, 12, 7, True)
    large(monkeypatch, 1)
    lazy = kind(files, SAMPLE_RATE, 800, 12, 7, True)
    for index in reversed(range(12)):
        for one, other in zip(small[index], lazy[index], strict=True):
            assert torch.equal(one, other)


def test_loudness_outlives_the_processes_that_measure_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    large(monkeypatch, 1 << 20)
    examples = TrainingMixtures(files, SAMPLE_RATE, 800, 40, 0, True)
    for _ in DataLoader(examples, 4, num_workers=1):
        pass
    monkeypatch.setattr(utterances, "loudness", lambda *_: pytest.fail("measured again"))
    for index, (_, path) in enumerate(files):
        assert examples.utterances.lufs(index) == loudness(load_utterance(path, SAMPLE_RATE), SAMPLE_RATE)


def test_a_silent_file_of_a_large_set_is_refused_when_its_turn_comes(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    large(monkeypatch, 1 << 20)
    soundfile.write(files[3][1], np.zeros(8000), SAMPLE_RATE)
    found = Utterances(files, SAMPLE_RATE)
    found.waveform(2)
    with pytest.raises(UserError, match=rf"{files[3][1]} is silent"):
        found.waveform(3)


def utterance_with_a_pause() -> np.ndarray:
    """Ten seconds, the middle eight of them 60 dB softer."""
    waveform = np.random.default_rng(0).normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)
    waveform[SAMPLE_RATE : 9 * SAMPLE_RATE] *= 1e-3
    return waveform


def level_db(waveform: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64))))


@pytest.mark.parametrize("speeds", [(1.0, 1.0), (0.85, 1.15)])
def test_a_crop_in_a_pause_is_drawn_again(speeds: tuple[float, float]) -> None:
    """Seven of ten single draws lie in the pause; with eight, one in twelve does."""
    waveform = utterance_with_a_pause()
    crops = [random_crop(waveform, SAMPLE_RATE, speeds, np.random.default_rng(seed)) for seed in range(200)]
    in_pause = sum(level_db(crop) < level_db(waveform) - 20 for crop in crops)
    assert in_pause < 200 * 0.2
    again = [random_crop(waveform, SAMPLE_RATE, speeds, np.random.default_rng(seed)) for seed in range(200)]
    assert all(np.array_equal(one, other) for one, other in zip(crops, again, strict=True))


def test_the_first_crop_is_kept_where_there_is_speech() -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)
    waveform[: SAMPLE_RATE // 2] = 0
    for seed in range(50):
        start = int(np.random.default_rng(seed).integers(len(waveform) - SAMPLE_RATE - 32 + 1))
        crop = random_crop(waveform, SAMPLE_RATE, (1.0, 1.0), np.random.default_rng(seed))
        np.testing.assert_array_equal(crop, waveform[start : start + SAMPLE_RATE])


def test_the_loudest_is_taken_where_all_are_soft() -> None:
    """A click in a minute of faint noise is hardly ever met."""
    waveform = np.random.default_rng(0).normal(0, 1e-4, 60 * SAMPLE_RATE).astype(np.float32)
    waveform *= np.linspace(0.1, 1, len(waveform), dtype=np.float32)
    waveform[0] = 1000
    random = np.random.default_rng(3)
    starts = [int(random.integers(len(waveform) - SAMPLE_RATE - 32 + 1)) for _ in range(CROPS)]
    crop = random_crop(waveform, SAMPLE_RATE, (1.0, 1.0), np.random.default_rng(3))
    np.testing.assert_array_equal(crop, waveform[max(starts) : max(starts) + SAMPLE_RATE])
