"""Training examples mixed on the fly: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from pipeline.data.augmentation import coloured, disturbance, happens, with_pause
from pipeline.data.mixing import Waveform, at_device_level, at_loudness
from pipeline.data.rooms import RoomResponses
from pipeline.data.speech import TrainingFiles, TrainingSpeech
from pipeline.data.utterances import Utterances

PAUSE_DB = -20.0  # below the utterance: EBU Tech 3342 takes what is softer for background and no part of the programme's loudness
CROPS = 8  # tried at most


class SpeechExamples(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Base of the examples of speech: mixtures [T] with sources [S, T].

    Args:
        files: the training utterances.
        sample_rate: in Hz; files at other rates are resampled.
        segment_samples: T.
        length: examples an epoch.
        augment: off for validation: speech as recorded.
    """

    def __init__(self, files: TrainingFiles, sample_rate: int, segment_samples: int, length: int, seed: int, augment: bool) -> None:
        self.speech = TrainingSpeech.of(files)
        self.utterances = Utterances(self.speech.utterances, sample_rate, self.speech.shares)
        self.augmented = Augmented(self.speech, sample_rate) if augment else None
        self.sample_rate, self.segment_samples, self.length, self.seed = sample_rate, segment_samples, length, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length


class TrainingMixtures(SpeechExamples):
    """Two-speaker mixtures [T] with their sources [2, T], at the level the device works on.

    Every source is a random crop of a random utterance at a random speed (which moves its pitch too: more voices than
    the corpus has), at a random loudness; the speakers of a mixture differ. What else is done to it stands in the augmentation.
    A power-of-two gain brings the mixture's peak into [0.5, 1) of full scale.

    Also of LibriMix: its ready mixtures pair each utterance with one other for good, while here it meets all of them
    (``mixing: published`` of a training takes the ready ones: :mod:`pipeline.data.published_examples`).
    """

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        speakers = self.utterances.speakers
        first = second = self.utterances.draw(random)
        while speakers[second] == speakers[first]:
            second = self.utterances.draw(random)
        sources = np.stack([self._source(utterance, random) for utterance in (first, second)])
        if self.augmented is None:
            parts = at_device_level(sources)
        else:
            sources = self.augmented.sources(sources, random)
            parts = at_device_level(np.concatenate([sources, self.augmented.disturbance(sources.sum(axis=0), random)[None]]))
        return torch.from_numpy(parts.sum(axis=0)), torch.from_numpy(parts[:2])

    def _source(self, utterance: int, random: np.random.Generator) -> Waveform:
        speed = (1.0, 1.0) if self.augmented is None else self.augmented.settings.speed
        crop = random_crop(self.utterances.waveform(utterance), self.segment_samples, speed, random)
        return at_loudness(crop, self.utterances.lufs(utterance), random.uniform(*self.speech.augmentation.loudness_lufs))


class Augmented:
    """Carries out the augmentation of ``speech`` but for speeds and levels, which are a matter of each crop."""

    def __init__(self, speech: TrainingSpeech, sample_rate: int) -> None:
        self.settings, self.recordings, self.sample_rate = speech.augmentation, speech.noise, sample_rate
        settings = self.settings
        self.rooms = None if settings.rooms is None else RoomResponses(settings.rooms, sample_rate)

    def sources(self, sources: Waveform, random: np.random.Generator) -> Waveform:
        """Sources [S, T] coloured, with pauses and in rooms."""
        settings = self.settings
        if settings.colour is not None:
            heard = [
                coloured(source, settings.colour, self.sample_rate, random) if happens(settings.colour, random) else source
                for source in sources
            ]
            sources = np.stack(heard)
        if settings.pauses is not None:
            paused = [
                with_pause(source, settings.pauses, self.sample_rate, random) if happens(settings.pauses, random) else source
                for source in sources
            ]
            sources = np.stack(paused)
        return self.rooms.reverberant(sources, random) if self.rooms is not None and happens(settings.rooms, random) else sources

    def disturbance(self, mixture: Waveform, random: np.random.Generator) -> Waveform:
        """What is added to the mixture [T] alone."""
        return disturbance(mixture, self.settings, self.sample_rate, random, self.recordings)


def random_crop(utterance: Waveform, samples: int, speeds: tuple[float, float], random: np.random.Generator) -> Waveform:
    """A random place of an utterance, [samples], with zeros after it where the utterance is shorter; at a random one of ``speeds``.

    A place in a pause is drawn again: nearly silence as a target, it would teach the network its own noise. The loudest of the
    places is taken if all are in pauses.
    """
    speed = 1.0 if speeds == (1.0, 1.0) else random.uniform(*speeds)
    wanted = int(samples * speed) + 32
    softest = softest_of(utterance)
    crop, level = _draw(utterance, wanted, random)
    for _ in range(CROPS - 1):
        if level >= softest:
            break
        crop, level = max((crop, level), _draw(utterance, wanted, random), key=lambda drawn: drawn[1])
    if speed != 1.0:
        crop = soxr.resample(crop, speed, 1.0, quality="HQ")
    crop = crop[:samples]
    return np.pad(crop, (0, samples - len(crop)))


def softest_of(utterance: Waveform) -> float:
    """The RMS of a cut below which it is a pause of the utterance."""
    return _rms(utterance) * float(10 ** (PAUSE_DB / 20))


def _draw(utterance: Waveform, samples: int, random: np.random.Generator) -> tuple[Waveform, float]:
    """A place of an utterance, and its RMS."""
    start = int(random.integers(max(1, len(utterance) - samples + 1)))
    crop = utterance[start : start + samples]
    return crop, _rms(crop)


def _rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
