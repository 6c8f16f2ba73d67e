"""The level of a segment: a power-of-two gain that brings its peak near full scale, exactly undone at the output."""

from __future__ import annotations

import numpy as np

from edge_runtime.signature import Pcm

_BITS = 15


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
