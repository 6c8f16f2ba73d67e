"""What augmentation adds and takes away, measured apart from the code that does it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from export_specs.foundation.errors import UserError
from pipeline.data.augmentation import Augmentation, Clicks, Colour, Noise, Offset, Pauses, Rooms, coloured, disturbance, with_pause
from pipeline.data.noisy_speech import NoisySpeech
from pipeline.data.rooms import RoomResponses
from pipeline.data.speech import TrainingSpeech
from pipeline.data.training_set import TrainingMixtures
from tests.tiny import write_speech

RATE = 8000
ALL = Augmentation(
    colour=Colour(share=0.5), pauses=Pauses(share=0.5), offset=Offset(share=0.5), clicks=Clicks(share=0.5), noise=Noise(share=0.5)
)


def random_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def speechlike(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    return random_of(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def power_db(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64))))


def test_nothing_is_added_and_nothing_drawn_unless_asked_for() -> None:
    random = random_of(1)
    assert not disturbance(speechlike(), Augmentation(), RATE, random).any()
    assert random.uniform() == random_of(1).uniform()


@pytest.mark.parametrize("seed", range(20))
def test_noise_has_the_wanted_level(seed: int) -> None:
    mixture = speechlike()
    added = disturbance(mixture, Augmentation(noise=Noise(share=1, snr_db=(20, 20))), RATE, random_of(seed))
    assert power_db(mixture) - power_db(added) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_offset_is_constant_and_slow(seed: int) -> None:
    mixture = speechlike(60.0)
    added = disturbance(mixture, Augmentation(offset=Offset(share=1, level_db=(-20, -20))), RATE, random_of(seed))
    assert power_db(added) - power_db(mixture) == pytest.approx(-20, abs=1.2)  # over a part of the drift's period the power differs
    spectrum = np.abs(np.fft.rfft(added * np.hanning(len(added)))) ** 2
    assert spectrum[np.fft.rfftfreq(len(added), 1 / RATE) > 1.2].sum() < 1e-6 * spectrum.sum()
    assert abs(added.mean()) > 0.3 * np.sqrt(np.mean(np.square(mixture))) * 0.1


def test_clicks_are_short_rare_and_as_high_as_wanted() -> None:
    mixture, counts = speechlike(10.0), []
    for seed in range(30):
        added = disturbance(mixture, Augmentation(clicks=Clicks(share=1, per_second=1, peak_db=(12, 12))), RATE, random_of(seed))
        level = np.sqrt(np.mean(np.square(mixture, dtype=np.float64)))
        starts = np.flatnonzero(np.abs(np.diff(added, prepend=0)) > 2 * level)
        counts.append(len(starts))
        assert np.abs(added).max() < 3 * 10 ** (12 / 20) * level  # of clicks that fall together
        assert np.abs(added[starts]).min() > 0.5 * level
        assert (np.abs(added) > 0.01 * level).mean() < 0.05
    assert np.mean(counts) == pytest.approx(10, abs=2)


def test_colour_is_a_high_pass_and_a_slope_at_the_same_power() -> None:
    source = speechlike(60.0)
    heard = coloured(source, Colour(share=1, high_pass_hertz=(200, 200), slope_db=(3, 3)), RATE, random_of(0))
    assert power_db(heard) == pytest.approx(power_db(source), abs=0.01)
    hertz = np.fft.rfftfreq(len(source), 1 / RATE)
    ratio = np.abs(np.fft.rfft(heard)) ** 2 / np.abs(np.fft.rfft(source)) ** 2

    def response_db(centre: float) -> float:
        return float(10 * np.log10(np.median(ratio[np.abs(hertz - centre) < 0.05 * centre])))

    assert response_db(3200) - response_db(1600) == pytest.approx(3, abs=0.1)  # an octave of the slope, far above the corner
    high_pass_alone = response_db(200) - response_db(3200) + 3 * 4  # 200 Hz to 3200 Hz are four octaves
    assert high_pass_alone == pytest.approx(-3.01, abs=0.15)
    assert response_db(50) - response_db(100) == pytest.approx(-12, abs=0.6)  # second order, below the corner and the slope's start


def test_a_pause_is_as_long_as_wanted_and_fades() -> None:
    source = np.full(3 * RATE, 0.5, np.float32)
    lengths, starts = [], []
    for seed in range(200):
        paused = with_pause(source, Pauses(share=1, seconds=(0.2, 0.6)), RATE, random_of(seed))
        silent = np.flatnonzero(paused == 0)
        lengths.append(len(silent) / RATE)
        starts.append(silent[0])
        assert np.array_equal(silent, np.arange(silent[0], silent[-1] + 1))
        assert np.abs(np.diff(paused)).max() < 0.5 * np.pi / 2 / (0.01 * RATE) * 1.05
        assert (paused == 0.5).sum() >= len(source) - len(silent) - 2 * 0.01 * RATE
    assert min(lengths) >= 0.2 and max(lengths) <= 0.6 and np.ptp(lengths) > 0.35
    assert min(starts) < 0.2 * RATE
    assert max(starts) > 2.2 * RATE


def test_half_of_a_short_source_is_left() -> None:
    source = np.ones(1000, np.float32)
    paused = with_pause(source, Pauses(share=1, seconds=(1.0, 1.0)), RATE, random_of(0))
    assert (paused == 0).sum() == 500


def test_mixtures_are_the_sources_and_what_was_added(tmp_path: Path) -> None:
    """The sources stay on the 16-bit grid; the same example comes again; half of the examples have each disturbance."""
    files = write_speech(tmp_path)
    plain = TrainingMixtures(files, RATE, 8000, 40, 0, True)
    augmented = TrainingMixtures(TrainingSpeech(files, augmentation=ALL), RATE, 8000, 40, 0, True)
    for index in range(40):
        mixture, sources = augmented[index]
        assert all(torch.equal(one, other) for one, other in zip((mixture, sources), augmented[index], strict=True))
        codes = torch.cat([mixture[None], sources]) * 32768
        assert torch.equal(codes, codes.round()) and float(codes.abs().max()) <= 32768
        assert 0.4 < float(mixture.abs().max()) < 1
    disturbed = sum(not torch.equal(mixture, sources.sum(0)) for mixture, sources in (augmented[k] for k in range(40)))
    assert 25 < disturbed < 40  # 1 - 0.5^3 of them
    assert all(torch.equal(mixture, sources.sum(0)) for mixture, sources in (plain[k] for k in range(40)))


def test_validation_is_not_augmented(tmp_path: Path) -> None:
    files = write_speech(tmp_path)
    plain, augmented = (TrainingMixtures(speech, RATE, 8000, 8, 0, False) for speech in (files, TrainingSpeech(files, augmentation=ALL)))
    assert all(torch.equal(plain[k][0], augmented[k][0]) for k in range(8))


def test_noisy_speech_is_augmented_too(tmp_path: Path) -> None:
    files = write_speech(tmp_path)
    plain = NoisySpeech(files, RATE, 8000, 20, 0, True, (10.0, 10.0))
    clicking = Augmentation(clicks=Clicks(share=1, peak_db=(20, 20)))
    augmented = NoisySpeech(TrainingSpeech(files, augmentation=clicking), RATE, 8000, 20, 0, True, (10.0, 10.0))
    for index in range(20):
        peaks = [float((mixture - speech[0]).abs().max() / speech.std()) for mixture, speech in (plain[index], augmented[index])]
        assert peaks[1] > 3 * peaks[0]
        assert float(augmented[index][0].abs().max()) <= 1


def test_rooms_reverberate_at_the_same_power() -> None:
    rooms = RoomResponses(Rooms(share=1, number=3, rt60_seconds=(0.25, 0.35)), RATE)
    sources = np.stack([np.zeros(2 * RATE, np.float32), speechlike(2.0)])
    sources[0, 100] = 1.0
    tails = []
    for seed in range(10):
        heard = rooms.reverberant(sources, random_of(seed))
        assert heard.shape == sources.shape and heard.dtype == np.float32
        for one, other in zip(heard, sources, strict=True):
            assert power_db(one) == pytest.approx(power_db(other), abs=0.01)
        impulse = heard[0] ** 2
        assert (
            impulse[:100].sum() < 1e-12
        )  # by the transform's rounding alone: nothing is heard before it sounds, and the direct sound comes at once
        assert int(np.argmax(impulse)) == 100
        tails.append(impulse[100 + RATE // 20 :].sum() / impulse.sum())
    assert min(tails) > 0 and max(tails) < 0.6
    again = RoomResponses(Rooms(share=1, number=3, rt60_seconds=(0.25, 0.35)), RATE).reverberant(sources, random_of(9))
    np.testing.assert_array_equal(again, heard)


def test_a_longer_reverberation_time_sounds_on_longer() -> None:
    sources = np.zeros((2, RATE), np.float32)
    sources[:, 0] = 1.0

    def late(seconds: float) -> float:
        rooms = RoomResponses(Rooms(share=1, number=10, rt60_seconds=(seconds, seconds)), RATE)
        energies = [rooms.reverberant(sources, random_of(seed)) ** 2 for seed in range(20)]
        return float(np.mean([energy[:, RATE // 20 :].sum() / energy.sum() for energy in energies]))

    assert late(0.15) < 0.5 * late(0.4)


def test_rooms_without_pyroomacoustics_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)  # as where it is not installed
    files = TrainingSpeech(write_speech(tmp_path), augmentation=Augmentation(rooms=Rooms(share=0.1)))
    with pytest.raises(UserError, match=r"rooms need pyroomacoustics: `pip install -r requirements/train\.lock`"):
        TrainingMixtures(files, RATE, 8000, 4, 0, True)
    TrainingMixtures(files, RATE, 8000, 4, 0, False)  # needs none
