"""Training examples of enhancement, mixed on the fly: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.data.mixing import mix_at_snr, on_pcm_grid, peak_limited, power_of_two_gain
from pipeline.data.noise import BABBLE_VOICES, background, recorded_noise
from pipeline.data.speech import TrainingFiles
from pipeline.data.training_set import SpeechExamples, random_crop


class NoisySpeech(SpeechExamples):
    """Noisy speech [T] with the speech alone [1, T], at the level the device works on.

    The noise is babble of other voices and coloured noise, or that of the data set's recordings, at an SNR uniform in ``snr_db``
    over the crop. A power-of-two gain brings the mixture's peak into [0.5, 1) of full scale.

    Args:
        files: the utterances, for speech and for babble.
        snr_db: least and greatest SNR.
    """

    def __init__(
        self,
        files: TrainingFiles,
        sample_rate: int,
        segment_samples: int,
        length: int,
        seed: int,
        augment: bool,
        snr_db: tuple[float, float],
    ) -> None:
        super().__init__(files, sample_rate, segment_samples, length, seed, augment)
        self.snr_db = snr_db

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        chosen, speakers = self.utterances.draw(random), self.utterances.speakers
        speeds = (1.0, 1.0) if self.augmented is None else self.augmented.settings.speed
        crop = random_crop(self.utterances.waveform(chosen), self.segment_samples, speeds, random)
        if self.speech.noise:
            noise = recorded_noise(self.speech.noise, self.segment_samples, self.sample_rate, random)
        else:
            others = np.flatnonzero(speakers != speakers[chosen])
            count = random.integers(*BABBLE_VOICES, endpoint=True)
            voices = [self.utterances.waveform(int(others[random.integers(len(others))])) for _ in range(count)]
            noise = background(voices, self.segment_samples, self.sample_rate, random)
        if self.augmented is not None:
            crop = self.augmented.sources(crop[None], random)[0]
        speech, noise = mix_at_snr(crop, noise, random.uniform(*self.snr_db))
        added = None if self.augmented is None else self.augmented.disturbance(speech + noise, random)
        if added is not None and added.any():
            speech, noise = peak_limited(speech, noise + added)
        gain = np.float32(power_of_two_gain(float(np.abs(speech + noise).max())))
        speech, noise = on_pcm_grid(speech * gain), on_pcm_grid(noise * gain)
        return torch.from_numpy(on_pcm_grid(speech + noise)), torch.from_numpy(speech[None])
