"""The level of a segment: its constant removed, and a power-of-two gain that brings its peak near full scale, undone at the output.

A contract for whoever runs the file itself (``docs/adr/0027-constant.md``): integer arithmetic, the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_runtime.signature import Pcm

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
    """k in 0…14 such that the peak of ``pcm`` · 2^k lies in [0.5, 1) of full scale; 0 for silence and for −32768."""
    if not pcm.size:
        return 0
    peak = max(int(pcm.max()), -int(pcm.min()))
    return max(0, _BITS - peak.bit_length()) if peak else 0


def apply_shift(pcm: Pcm, shift: int) -> Pcm:
    """``pcm`` · 2^shift, exact for a shift that :func:`choose_shift` has chosen for it."""
    return np.left_shift(pcm, np.int16(shift))


def undo_shift(pcm: Pcm, shift: int) -> Pcm:
    """``pcm`` / 2^shift, rounded half away from zero; gives back what :func:`apply_shift` was given."""
    if shift == 0:
        return pcm
    wide = pcm.astype(np.int32)
    magnitude = (np.abs(wide) + (1 << (shift - 1))) >> shift
    return np.asarray(np.sign(wide) * magnitude, dtype=np.int16)
