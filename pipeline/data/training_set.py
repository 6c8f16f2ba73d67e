"""Training examples mixed on the fly: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from export_specs.errors import UserError
from pipeline.data.mixing import (
    LOUDNESS_LUFS,
    Waveform,
    at_loudness,
    measured_utterances,
    on_pcm_grid,
    power_of_two_gain,
)

SPEED_RANGE = (0.85, 1.15)


class TrainingMixtures(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Two-speaker mixtures [T] with their sources [2, T], at the level the device works on.

    Every source is a random crop of a random utterance at a random speed (which moves its pitch too: more voices than
    the corpus has), at a loudness uniform in -33...-25 LUFS; the speakers of a mixture differ. A power-of-two gain
    brings the mixture's peak into [0.5, 1) of full scale.

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
        self.utterances = measured_utterances(files, sample_rate)
        if len({speaker for speaker, _, _ in self.utterances}) < 2:
            raise UserError("training needs utterances of at least two speakers; the data set has fewer")
        self.segment_samples, self.length, self.seed, self.augment = segment_samples, length, seed, augment
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        first = self.utterances[random.integers(len(self.utterances))]
        second = first
        while second[0] == first[0]:
            second = self.utterances[random.integers(len(self.utterances))]
        sources = np.stack([self._source(utterance, lufs, random) for _, utterance, lufs in (first, second)])
        gain = power_of_two_gain(float(np.abs(sources.sum(axis=0)).max()))
        sources = on_pcm_grid(sources * gain * np.float32(min(1.0, 0.999 / max(1e-9, float(np.abs(sources.sum(axis=0)).max()) * gain))))
        return torch.from_numpy(sources.sum(axis=0)), torch.from_numpy(sources)

    def _source(self, utterance: Waveform, lufs: float, random: np.random.Generator) -> Waveform:
        crop = random_crop(utterance, self.segment_samples, self.augment, random)
        return at_loudness(crop, lufs, random.uniform(*LOUDNESS_LUFS))


def random_crop(utterance: Waveform, samples: int, augment: bool, random: np.random.Generator) -> Waveform:
    """A random place of an utterance, [samples], with zeros after it where the utterance is shorter; at a random speed if ``augment``."""
    speed = random.uniform(*SPEED_RANGE) if augment else 1.0
    wanted = int(samples * speed) + 32
    start = int(random.integers(max(1, len(utterance) - wanted + 1)))
    crop = utterance[start : start + wanted]
    if augment:
        crop = soxr.resample(crop, speed, 1.0, quality="HQ")
    crop = crop[:samples]
    return np.pad(crop, (0, samples - len(crop)))
