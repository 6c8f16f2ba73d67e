"""Training examples mixed on the fly: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from pipeline.data.mixing import LOUDNESS_LUFS, Waveform, at_device_level, at_loudness
from pipeline.data.utterances import Utterances

SPEED_RANGE = (0.85, 1.15)
PAUSE_DB = -20.0  # below the utterance: EBU Tech 3342 takes what is softer for background and no part of the programme's loudness
CROPS = 8  # tried at most


class TrainingMixtures(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Two-speaker mixtures [T] with their sources [2, T], at the level the device works on.

    Every source is a random crop of a random utterance at a random speed (which moves its pitch too: more voices than
    the corpus has), at a loudness uniform in -33...-25 LUFS; the speakers of a mixture differ. A power-of-two gain
    brings the mixture's peak into [0.5, 1) of full scale.

    Also of LibriMix: its ready mixtures pair each utterance with one other for good, while here it meets all of them.

    Args:
        files: (speaker, path) of the training utterances.
        sample_rate: in Hz; files at other rates are resampled.
        segment_samples: T.
        length: examples an epoch.
        augment: random speeds; off for validation.
    """

    def __init__(
        self, files: list[tuple[str, Path]], sample_rate: int, segment_samples: int, length: int, seed: int, augment: bool
    ) -> None:
        self.utterances = Utterances(files, sample_rate)
        self.segment_samples, self.length, self.seed, self.augment = segment_samples, length, seed, augment
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        speakers = self.utterances.speakers
        first = second = int(random.integers(len(speakers)))
        while speakers[second] == speakers[first]:
            second = int(random.integers(len(speakers)))
        sources = np.stack([self._source(utterance, random) for utterance in (first, second)])
        sources = at_device_level(sources)
        return torch.from_numpy(sources.sum(axis=0)), torch.from_numpy(sources)

    def _source(self, utterance: int, random: np.random.Generator) -> Waveform:
        crop = random_crop(self.utterances.waveform(utterance), self.segment_samples, self.augment, random)
        return at_loudness(crop, self.utterances.lufs(utterance), random.uniform(*LOUDNESS_LUFS))


def random_crop(utterance: Waveform, samples: int, augment: bool, random: np.random.Generator) -> Waveform:
    """A random place of an utterance, [samples], with zeros after it where the utterance is shorter; at a random speed if ``augment``.

    A place in a pause is drawn again: nearly silence as a target, it would teach the network its own noise. The loudest of the
    places is taken if all are in pauses.
    """
    speed = random.uniform(*SPEED_RANGE) if augment else 1.0
    wanted = int(samples * speed) + 32
    softest = _rms(utterance) * 10 ** (PAUSE_DB / 20)
    crop, level = _draw(utterance, wanted, random)
    for _ in range(CROPS - 1):
        if level >= softest:
            break
        crop, level = max((crop, level), _draw(utterance, wanted, random), key=lambda drawn: drawn[1])
    if augment:
        crop = soxr.resample(crop, speed, 1.0, quality="HQ")
    crop = crop[:samples]
    return np.pad(crop, (0, samples - len(crop)))


def _draw(utterance: Waveform, samples: int, random: np.random.Generator) -> tuple[Waveform, float]:
    """A place of an utterance, and its RMS."""
    start = int(random.integers(max(1, len(utterance) - samples + 1)))
    crop = utterance[start : start + samples]
    return crop, _rms(crop)


def _rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
