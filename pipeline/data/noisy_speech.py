"""Training examples of enhancement, mixed on the fly: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from pipeline.data.mixing import mix_at_snr, on_pcm_grid, power_of_two_gain
from pipeline.data.noise import BABBLE_VOICES, background
from pipeline.data.training_set import random_crop
from pipeline.data.utterances import Utterances


class NoisySpeech(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Noisy speech [T] with the speech alone [1, T], at the level the device works on.

    The noise is babble of other voices and coloured noise, at an SNR uniform in ``snr_db`` over the crop. A power-of-two gain
    brings the mixture's peak into [0.5, 1) of full scale.

    Args:
        files: (speaker, path) of the utterances, for speech and for babble.
        sample_rate: in Hz; files at other rates are resampled.
        segment_samples: T.
        length: examples an epoch.
        augment: random speeds of the speech; off for validation.
        snr_db: least and greatest SNR.
    """

    def __init__(
        self,
        files: list[tuple[str, Path]],
        sample_rate: int,
        segment_samples: int,
        length: int,
        seed: int,
        augment: bool,
        snr_db: tuple[float, float],
    ) -> None:
        self.utterances = Utterances(files, sample_rate)
        self.sample_rate, self.segment_samples, self.length, self.seed, self.augment = sample_rate, segment_samples, length, seed, augment
        self.snr_db = snr_db
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        chosen, speakers = int(random.integers(len(self.utterances))), self.utterances.speakers
        crop = random_crop(self.utterances.waveform(chosen), self.segment_samples, self.augment, random)
        others = np.flatnonzero(speakers != speakers[chosen])
        count = random.integers(*BABBLE_VOICES, endpoint=True)
        voices = [self.utterances.waveform(int(others[random.integers(len(others))])) for _ in range(count)]
        noise = background(voices, self.segment_samples, self.sample_rate, random)
        speech, noise = mix_at_snr(crop, noise, random.uniform(*self.snr_db))
        gain = np.float32(power_of_two_gain(float(np.abs(speech + noise).max())))
        speech, noise = on_pcm_grid(speech * gain), on_pcm_grid(noise * gain)
        return torch.from_numpy(on_pcm_grid(speech + noise)), torch.from_numpy(speech[None])
