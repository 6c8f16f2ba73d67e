"""Recordings of any length through a model of a fixed one: overlapping segments, aligned and cross-faded.

A waveform is [n], or [A, n] of A audio channels; separated ones are [S, n] or [S, A, n].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

import numpy as np
import numpy.typing as npt

from edge_runtime.level import apply_shift, choose_shift, remove_constant, undo_shift
from edge_runtime.runtime import Runtime
from edge_runtime.separator import pushed
from edge_runtime.signature import Pcm
from export_specs.foundation.errors import UserError

PAUSE = 1000  # 30 dB


class SegmentSeparator:
    """Separates a stream: :meth:`push` samples as they come, :meth:`finish` at the end.

    Streamed in pieces or whole, the result is the same. Each segment of T samples is freed of its constant and brought to level, run,
    and brought back from the level; one that is constant gives zeros.
    A segment overlaps its predecessor by round(T · overlap) samples; there its sources take the order in which they differ least
    from the predecessor's, that is the one-to-one order of the largest correlation, and the two are cross-faded linearly. Sources that
    have names keep their places, and so do all where the predecessor's sources pause (``docs/adr/0029-pauses.md``).
    The last segment ends with the recording, so it overlaps more; only a recording shorter than a segment is padded, with zeros.
    """

    def __init__(self, runtime: Runtime, overlap: float = 0.25) -> None:
        """``overlap`` is the part of a segment that it shares with its predecessor, above 0 and at most 0.5.

        Raises:
            UserError: an overlap out of that range, or less than a sample long.
        """
        self._runtime = runtime
        self._length = runtime.segment_samples
        self._overlap = int(self._length * overlap + 0.5) if 0 < overlap <= 0.5 else 0
        if not 0 < self._overlap <= self._length // 2:
            raise UserError(f"the overlap must be above 0 and at most 0.5 of a segment ({self._length} samples), not {overlap:g}")
        self.reset()

    @property
    def latency_samples(self) -> int:
        """From the moment a sample begins until what is separated of it has come out, at most: a segment. Computing takes no time."""
        return self._length

    def reset(self) -> None:
        """Forget the stream: the next sample is the first of another."""
        self._waiting = np.zeros(0, np.int16)
        self._before = np.zeros(0, np.int16)  # of the last segment, what lies before the samples that wait
        self._previous: Pcm | None = None  # its result; the last overlap samples of it are not given yet
        self._activity = 0  # power of the results, falling by a quarter a segment where they get softer

    def push(self, pcm: Pcm) -> Pcm:
        """Take int16 samples [n] or [A, n]; give the int16 samples [S, m] or [S, A, m] that are final now (m may be 0)."""
        self._waiting = np.concatenate([self._waiting, pcm], axis=-1) if self._waiting.size else pcm.copy()
        hop = self._length - self._overlap
        done = [self._nothing()]
        while self._waiting.shape[-1] >= self._length:
            result = self._joined(self._without_constant(self._waiting[..., : self._length]), self._overlap)
            done.append(result[..., :hop])
            self._before, self._previous = self._waiting[..., :hop], result
            self._waiting = self._waiting[..., hop:]
        return np.concatenate(done, axis=-1)

    def finish(self) -> Pcm:
        """The int16 samples [S, m] or [S, A, m] that are still due. The separator is as new afterwards."""
        due = self._waiting.shape[-1]
        if due == 0:
            result = self._nothing()
        elif self._previous is None:
            result = self._joined(_padded(self._without_constant(self._waiting), self._length), 0)[..., :due]
        elif due == self._overlap:
            result = self._previous[..., -due:]
        else:
            segment = np.concatenate([self._before, self._waiting], axis=-1)[..., -self._length :]
            result = self._joined(self._without_constant(segment), self._length + self._overlap - due)[..., -due:]
        self.reset()
        return result

    def _nothing(self) -> Pcm:
        return np.zeros((self._runtime.sources, *self._waiting.shape[:-1], 0), np.int16)

    def _joined(self, segment: Pcm, common: int) -> Pcm:
        """The result of a segment without its constant, of which the first ``common`` samples are its predecessor's too."""
        result = self._at_level(segment)
        self._activity = max(_power(result), self._activity - (self._activity >> 2))
        if self._previous is None:
            return result
        if not self._runtime.source_names and not self._is_pause(self._previous[..., -common:]):
            result = result[align(self._previous[..., -common:], result[..., :common])]
        due = slice(common - self._overlap, common)
        result[..., due] = cross_fade(self._previous[..., -self._overlap :], result[..., due])
        return result

    def _is_pause(self, overlap: Pcm) -> bool:
        """Whether the sources are so soft that their likeness is one of noise: PAUSE times less power than the segments lately had."""
        return _power(overlap) * PAUSE < self._activity

    def _without_constant(self, segment: Pcm) -> Pcm:
        return remove_constant(segment, self._runtime.sample_rate)

    def _at_level(self, segment: Pcm) -> Pcm:
        """The runtime's output at the segment's own level. Silence has none: it gives silence, and the network is not run."""
        if not segment.any():
            return np.zeros((self._runtime.sources, *segment.shape), np.int16)
        shift = choose_shift(segment)
        return undo_shift(self._runtime.run(apply_shift(segment, shift)), shift)


def separate_blocks(runtime: Runtime, blocks: Iterable[Pcm], overlap: float = 0.25) -> Iterator[Pcm]:
    """Separate a recording that comes in blocks, int16 [n] or [A, n], into int16 [S, m] or [S, A, m], of which only a segment is kept.

    A recording of at most one segment gives the runtime's own output, at the level described in :mod:`edge_runtime.level`.

    Args:
        overlap: see :class:`SegmentSeparator`.

    Raises:
        UserError: as :class:`SegmentSeparator`, at once.
    """
    return pushed(SegmentSeparator(runtime, overlap), blocks, runtime.segment_samples // 2)


def separate(runtime: Runtime, pcm: Pcm, overlap: float = 0.25) -> Pcm:
    """Separate a recording of any length: int16 [N] to int16 [S, N], or [A, N] to [S, A, N]; see :func:`separate_blocks`."""
    return np.concatenate(list(separate_blocks(runtime, [pcm], overlap)), axis=-1)


def _power(pcm: Pcm) -> int:
    """Mean square, rounded down."""
    return int(np.square(pcm, dtype=np.int64).sum()) // max(1, pcm.size)


def _padded(pcm: Pcm, samples: int) -> Pcm:
    """``pcm`` with zeros after it, up to ``samples``."""
    return np.concatenate([pcm, np.zeros((*pcm.shape[:-1], samples - pcm.shape[-1]), np.int16)], axis=-1)


def align(previous: Pcm, following: Pcm) -> list[int]:
    """The order of the sources of ``following`` whose correlation with ``previous`` is the largest.

    Both are int16 [S, n] or [S, A, n] over the same n samples. Row i of ``previous`` goes on in row ``order[i]`` of ``following``, one to
    one.
    Ties, silence among them, keep the order as it is.
    """
    before, after = (pcm.reshape(len(pcm), -1).astype(np.int64) for pcm in (previous, following))
    correlation: npt.NDArray[np.int64] = before @ after.T
    rows = list(range(len(correlation)))
    orders: list[tuple[int, ...]] = list(permutations(rows))
    totals = [int(correlation[rows, order].sum()) for order in orders]
    return list(orders[totals.index(max(totals))])


def cross_fade(previous: Pcm, following: Pcm) -> Pcm:
    """A linear fade from ``previous`` to ``following`` (int16 [..., n]), rounded half away from zero; equal inputs come out unchanged."""
    count = previous.shape[-1]
    rising = 2 * np.arange(count, dtype=np.int64) + 1
    mixed = previous * (2 * count - rising) + following * rising
    return np.asarray(np.sign(mixed) * ((np.abs(mixed) + count) // (2 * count)), dtype=np.int16)
