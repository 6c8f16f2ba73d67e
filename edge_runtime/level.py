"""The level of a segment: its constant removed, and a power-of-two gain that brings its peak near full scale, undone at the output.

A contract for whoever runs the file itself, which its metadata tell as ``input_gain`` (``docs/adr/0036-input-contract.md``,
``0027-constant.md``, ``0023-clicks.md``): integers, the same everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_runtime.signature import Pcm
from export_specs.file_metadata import INPUT_GAIN

_BITS = 15


def constant_of(pcm: Pcm) -> npt.NDArray[np.int64]:
    """The mean of int16 samples [n] or [A, n], of each channel, rounded half away from zero: [1] or [A, 1]; 0 where there are none.

    With s the sum of the n samples: sign(s) · ((2 |s| + n) / (2 n)), the division of whole numbers.
    """
    count = max(1, pcm.shape[-1])
    total = pcm.sum(axis=-1, dtype=np.int64, keepdims=True)
    return np.asarray(np.sign(total) * ((2 * np.abs(total) + count) // (2 * count)))


def remove_constant(pcm: Pcm, sample_rate: int) -> Pcm:
    """``pcm`` less its constant, saturated to int16: a microphone's offset is no sound, and a network takes it for one.

    What is shorter than a quarter of a second stays as it is, because its mean is mostly of the sound.
    """
    if 4 * pcm.shape[-1] < sample_rate:
        return pcm
    return np.asarray(np.clip(pcm - constant_of(pcm), -32768, 32767), np.int16)


def choose_shift(pcm: Pcm) -> int:
    """The largest k in 0…14 for which at most one in 4096 samples (of all channels) leaves int16 in ``pcm`` · 2^k; 0 for silence.

    So the loudest of the other samples lies in [0.5, 1) of full scale. A click does not choose the level of the sound around it.
    −32768 counts as leaving int16.
    """
    sizes = np.bincount(np.frexp(np.abs(pcm.astype(np.int32)).ravel())[1], minlength=_BITS + 2)  # samples by their number of bits
    if not sizes[1:].any():
        return 0
    leaving = np.cumsum(sizes[::-1])[::-1]  # [b]: samples of b bits or more
    shifts = range(INPUT_GAIN.largest_shift, -1, -1)
    return next(k for k in shifts if k == 0 or leaving[_BITS + 1 - k] * INPUT_GAIN.clipped_one_in <= pcm.size)


def apply_shift(pcm: Pcm, shift: int) -> Pcm:
    """``pcm`` · 2^shift, saturated to int16: exact but for the few samples that :func:`choose_shift` leaves out."""
    return np.clip(np.left_shift(pcm.astype(np.int32), shift), -32768, 32767).astype(np.int16)


def undo_shift(pcm: Pcm, shift: int | npt.NDArray[np.int32]) -> Pcm:
    """``pcm`` / 2^shift, rounded half away from zero; gives back what :func:`apply_shift` was given, where that is exact.

    ``shift`` is one for all samples, or one for each [n].
    """
    wide = pcm.astype(np.int32)
    magnitude = (np.abs(wide) + (1 << shift >> 1)) >> shift
    return np.asarray(np.sign(wide) * magnitude, dtype=np.int16)
