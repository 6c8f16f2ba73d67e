"""Training examples of music: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from export_specs.foundation.errors import UserError
from pipeline.data.mixing import Waveform, at_device_level
from pipeline.data.music import Track, read_stems, track_samples

GAINS = (0.25, 1.25)
CROPS = 8  # tried at most


class MusicExamples(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Mixtures [2, T] with their sources [4, 2, T] in the order of MUSIC_SOURCES, at the level the device works on.

    A random place of a random track. Augmented as in the FQSS paper: the sign of each source, its channels' order and its gain
    (0.25 to 1.25) are drawn. A power-of-two gain brings the mixture's peak into [0.5, 1) of full scale.

    Args:
        files: (name, folder) of the tracks.
        sample_rate: in Hz, of all files.
        segment_samples: T.
        length: examples an epoch.
        augment: off for validation.

    Raises:
        UserError: no track, or a bad one.
    """

    def __init__(self, files: list[Track], sample_rate: int, segment_samples: int, length: int, seed: int, augment: bool) -> None:
        if not files:
            raise UserError("training needs tracks; the data set has none")
        self.folders = [folder for _, folder in files]
        self.samples = [track_samples(folder, sample_rate) for folder in self.folders]
        self.segment_samples, self.length, self.seed, self.augment = segment_samples, length, seed, augment
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        for _ in range(CROPS):
            stems = self._crop(random)
            if stems.any():
                break
        if self.augment:
            signs, gains = random.choice([-1.0, 1.0], len(stems)), random.uniform(*GAINS, len(stems))
            swapped = np.where(random.integers(2, size=(len(stems), 1, 1)), stems[:, ::-1], stems)
            stems = (swapped * (signs * gains)[:, None, None]).astype(np.float32)
        stems = at_device_level(stems)
        return torch.from_numpy(stems.sum(axis=0)), torch.from_numpy(stems)

    def _crop(self, random: np.random.Generator) -> Waveform:
        track = int(random.integers(len(self.folders)))
        start = int(random.integers(max(1, self.samples[track] - self.segment_samples + 1)))
        return read_stems(self.folders[track], start, self.segment_samples)
