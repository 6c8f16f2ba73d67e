"""A stream through a causal model, hop by hop."""

from __future__ import annotations

import numpy as np

from edge_runtime.level import undo_shift
from edge_runtime.signature import Pcm
from edge_runtime.step_runtime import StepRuntime
from edge_runtime.stream_level import LARGEST_SHIFT, StreamLevel


class StreamSeparator:
    """Separates a stream: :meth:`push` samples as they come, :meth:`finish` at the end.

    In whatever pieces samples are pushed, the result is the same. It begins with the stream's first sample, so that the n-th sample that
    comes out belongs to the n-th that went in; ``latency_samples`` later at most. Every hop is run, silence too, because the network goes
    on hearing what it heard. The level is one gain for the stream (:mod:`edge_runtime.stream_level`), undone sample by sample.
    """

    def __init__(self, runtime: StepRuntime, shift: int = LARGEST_SHIFT) -> None:
        """``shift``: the gain to begin with, 2^shift."""
        self._runtime, self._first_shift = runtime, shift
        self.reset()

    @property
    def latency_samples(self) -> int:
        """From the moment a sample begins until what is separated of it has come out, at most; computing takes no time."""
        return self._runtime.latency_samples

    def reset(self) -> None:
        """Forget the stream: the next sample is the first of another."""
        self._states, self._level = self._runtime.start(), StreamLevel(self._runtime.sample_rate, self._first_shift)
        self._waiting = np.zeros(0, np.int16)
        self._shifts = np.zeros(self._runtime.late_samples, np.int32)  # of the samples whose results are still to come
        self._early = self._runtime.late_samples  # samples that come out and belong to none
        self._due = 0

    def push(self, pcm: Pcm) -> Pcm:
        """Take int16 samples [n]; give the int16 samples [S, m] that are ready (m may be 0)."""
        self._due += len(pcm)
        self._waiting = np.concatenate([self._waiting, pcm])
        hop = self._runtime.hop_samples
        ready = [self._step(self._waiting[start : start + hop]) for start in range(0, len(self._waiting) - hop + 1, hop)]
        self._waiting = self._waiting[len(self._waiting) // hop * hop :]
        return self._counted(ready)

    def finish(self) -> Pcm:
        """The int16 samples [S, m] that are still due, with silence after the last. The separator is as new afterwards."""
        due, steps = self._due, -(-(self._due + self._early) // self._runtime.hop_samples)
        pieces = [self._waiting, *[self._waiting[:0]] * (steps - 1)][:steps]
        result = self._counted([self._step(piece) for piece in pieces])[:, :due]
        self.reset()
        return result

    def _step(self, pcm: Pcm) -> Pcm:
        """A hop, which silence fills where ``pcm`` is shorter."""
        level, shift = self._level.apply(pcm)
        hop = np.zeros(self._runtime.hop_samples, np.int16)
        hop[: len(level)] = level
        self._shifts = np.concatenate([self._shifts, np.full(len(hop), shift, np.int32)])
        separated = undo_shift(self._runtime.step(hop, self._states), self._shifts[: len(hop)])
        self._shifts = self._shifts[len(hop) :]
        return separated

    def _counted(self, ready: list[Pcm]) -> Pcm:
        """What belongs to samples of the stream."""
        result = np.concatenate([np.zeros((self._runtime.sources, 0), np.int16), *ready], axis=1)
        early = min(self._early, result.shape[1])
        self._early -= early
        self._due -= result.shape[1] - early
        return result[:, early:]
