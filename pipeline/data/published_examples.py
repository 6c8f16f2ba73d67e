"""Training examples that are cuts of LibriMix's ready mixtures: example i of an epoch is a function of (seed, epoch, i) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from export_specs.foundation.errors import UserError
from pipeline.data.mixing import Waveform, at_device_level, load_utterance
from pipeline.data.published import Layout, published_files
from pipeline.data.training_set import CROPS, softest_of


class PublishedExamples(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Mixtures [T] with their sources [S, T], at the level the device works on; what is mixed and how loud is as published.

    Of a mixture a random place is taken, zeros after it where the mixture is shorter; where a source pauses all the time, another one. A
    power-of-two gain brings the mixture's peak into [0.5, 1) of full scale.

    Args:
        part: folder of a part of LibriMix; ``layout``: which of its folders.
        segment_samples: T. ``length``: examples an epoch.

    Raises:
        UserError: the part has no such mixtures; when its turn comes, a file that is bad or missing, or parts that differ in length.
    """

    def __init__(self, part: Path, layout: Layout, sample_rate: int, segment_samples: int, length: int, seed: int) -> None:
        self._files, self._part, self._layout = published_files(part, layout), part, layout
        self.sample_rate, self.segment_samples, self.length, self.seed = sample_rate, segment_samples, length, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.epoch, index))
        path = self._files[random.integers(len(self._files))]
        found = [load_utterance(self._part / folder / path.name, self.sample_rate) for folder in self._layout.parts]
        if len({len(part) for part in found}) > 1:
            raise UserError(f"{path}: its parts are {' and '.join(str(len(part)) for part in found)} samples long; is it of the mode min?")
        if not np.abs(found).max(axis=1).all():
            raise UserError(f"{path}: a part of it is silent; remove it from the data set")
        parts = at_device_level(self._cut(np.stack(found), random))
        return torch.from_numpy(parts.sum(axis=0)), torch.from_numpy(parts[: len(self._layout.sources)])

    def _cut(self, parts: Waveform, random: np.random.Generator) -> Waveform:
        sources = parts[: len(self._layout.sources)]
        softest = np.array([softest_of(source) for source in sources])
        places = random.integers(max(1, parts.shape[1] - self.segment_samples + 1), size=CROPS)

        def loudness(place: int) -> float:
            cut = sources[:, place : place + self.segment_samples].astype(np.float64)
            return float((np.sqrt(np.mean(cut**2, axis=1)) / np.maximum(softest, 1e-9)).min())

        place = next((place for place in places if loudness(place) >= 1), max(places, key=loudness))
        cut = parts[:, place : place + self.segment_samples]
        return np.pad(cut, ((0, 0), (0, self.segment_samples - cut.shape[1])))
