"""Utterances of a data set of any size: read when they are asked for, measured once."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from export_specs.foundation.errors import UserError
from pipeline.data.mixing import Waveform, load_utterance, loudness
from pipeline.data.speech import Utterance

SMALL_BYTES = 1 << 26  # of files; such a set is read at once
CACHED_BYTES = 1 << 29  # of waveforms; a small set fits unless it is highly compressed


class Utterances:
    """The utterances of ``files``; those used last are kept in memory.

    A small set is read at once, so that a bad file in it is refused before anything is trained; of a large one only the names are
    looked at, and a bad file is refused when its turn comes.

    Args:
        files: (speaker, path) of each.
        sample_rate: in Hz; files at other rates are resampled.
        shares: how often :meth:`draw` takes each, in proportion; None: all alike.

    Raises:
        UserError: fewer than two speakers; a file that cannot be read, or is silent.
    """

    def __init__(self, files: Sequence[Utterance], sample_rate: int, shares: Sequence[float] | None = None) -> None:
        self._paths, self._sample_rate = [path for _, path in files], sample_rate
        self.speakers = np.array([speaker for speaker, _ in files])
        if len(set(self.speakers)) < 2:
            raise UserError("training needs utterances of at least two speakers; the data set has fewer")
        self._up_to = None if shares is None else np.cumsum(shares) / np.sum(shares)
        self._waveforms: OrderedDict[int, Waveform] = OrderedDict()
        self._bytes = 0
        # in shared memory: processes that mix examples live for an epoch, and what they have measured outlives them
        self._lufs = torch.full((len(files),), torch.nan, dtype=torch.float64).share_memory_()
        if sum(path.stat().st_size for path in self._paths if path.is_file()) <= SMALL_BYTES:
            for index in range(len(files)):
                self.lufs(index)

    def __len__(self) -> int:
        return len(self._paths)

    def draw(self, random: np.random.Generator) -> int:
        """The index of a random utterance."""
        if self._up_to is None:
            return int(random.integers(len(self)))
        return min(int(np.searchsorted(self._up_to, random.uniform(), side="right")), len(self) - 1)

    def waveform(self, index: int) -> Waveform:
        """Utterance ``index``: [T] at the sample rate.

        Raises:
            UserError: the file cannot be read, or is silent.
        """
        if index in self._waveforms:
            self._waveforms.move_to_end(index)
            return self._waveforms[index]
        waveform = load_utterance(self._paths[index], self._sample_rate)
        if not np.abs(waveform).max() > 0:
            raise UserError(f"{self._paths[index]} is silent; remove it from the data set")
        self._waveforms[index] = waveform
        self._bytes += waveform.nbytes
        while self._bytes > CACHED_BYTES and len(self._waveforms) > 1:
            self._bytes -= self._waveforms.popitem(last=False)[1].nbytes
        return waveform

    def lufs(self, index: int) -> float:
        """Loudness of utterance ``index`` in LUFS, measured when it is first asked for; -inf if all of it is very soft."""
        if self._lufs[index].isnan():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pyloudnorm warns of clipping that at_loudness then limits
                self._lufs[index] = loudness(self.waveform(index), self._sample_rate)
        return float(self._lufs[index])
