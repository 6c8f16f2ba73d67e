"""The level of a stream, whose peak nobody knows in advance: its constant removed, and one power-of-two gain that follows it slowly.

A contract for whoever runs the file itself (``docs/streaming.md``): integers, the same everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_runtime.level import apply_shift
from edge_runtime.signature import Pcm

FRACTION = 16  # bits below one code of what is followed
CONSTANT_SECONDS = (0.25, 2)  # over which the constant is a mean: at the beginning, and later
PEAK_SECONDS = 5  # in which the peak is forgotten, but for 1/e
RAISE_SECONDS = 1  # between two raises
LARGEST_SHIFT = 8  # 48 dB: what is softer is noise


class StreamLevel:
    """Brings hops to level as they come; any split of a stream into the same hops gives the same."""

    def __init__(self, sample_rate: int, shift: int = LARGEST_SHIFT) -> None:
        """``shift``: the gain to begin with, 2^shift. It falls at once and rises slowly, so the largest fits from the first sound on."""
        self._rate, self._heard = sample_rate, 0
        self._constant, self._peak = 0, 0  # in codes · 2^FRACTION
        self._shift, self._raised = shift, 0

    def apply(self, pcm: Pcm) -> tuple[Pcm, int]:
        """int16 [n] at level, and the shift to be undone of what is separated of these samples."""
        self._heard += len(pcm)
        centred = self._without_constant(pcm)
        self._follow(centred)
        return apply_shift(centred, self._shift), self._shift

    def _without_constant(self, pcm: Pcm) -> Pcm:
        """``pcm`` less a mean that forgets exponentially, which goes from its value before this hop to the new one in a straight line."""
        count, before = len(pcm), self._constant
        shortest, longest = (int(seconds * self._rate) for seconds in CONSTANT_SECONDS)
        over = min(max(self._heard, shortest), longest)
        self._constant += ((int(pcm.sum(dtype=np.int64)) << FRACTION) - count * before) // over
        steps = np.arange(1, count + 1, dtype=np.int64)
        line: npt.NDArray[np.int64] = (before * count + (self._constant - before) * steps) // count
        return np.clip(pcm - ((line + (1 << FRACTION - 1)) >> FRACTION), -32768, 32767).astype(np.int16)

    def _follow(self, centred: Pcm) -> None:
        """Lower the gain at once where these samples would leave int16; raise it, by one doubling a second, where half the scale is empty
        even then."""
        forgotten = self._peak - self._peak * len(centred) // (PEAK_SECONDS * self._rate)
        self._peak = max(int(np.abs(centred.astype(np.int32)).max(initial=0)) << FRACTION, forgotten)
        peak = self._peak >> FRACTION
        while self._shift and peak << self._shift > 32767:
            self._shift -= 1
        due = self._heard - self._raised >= RAISE_SECONDS * self._rate
        if due and peak and self._shift < LARGEST_SHIFT and peak << self._shift + 2 <= 32767:
            self._shift, self._raised = self._shift + 1, self._heard
