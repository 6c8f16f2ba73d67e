"""SDR with an allowed filter, as BSS Eval version 3 has it and papers on speech report it (Vincent, Gribonval and Févotte 2006)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, solve, toeplitz

from validation.metrics import Waveform, ratio_db

TAPS = 512


def filtered_sdr(estimate: npt.ArrayLike, source: npt.ArrayLike, taps: int = TAPS) -> float:
    """The energy of what the source, filtered by the best FIR of so many taps, explains of the estimate, over what it does not, in dB.

    Args:
        estimate, source: [T] in any units, as the ratio does not change with either's level.

    Raises:
        ValueError: the source is silent.
    """
    heard, truth = np.asarray(estimate, np.float64), np.asarray(source, np.float64)
    energy = float(np.dot(heard, heard))
    if not truth.any():
        raise ValueError("the source is silent: SDR is undefined")
    if energy == 0:
        return -np.inf
    size = 1 << int(np.ceil(np.log2(len(truth) + taps)))
    spectrum = np.fft.rfft(truth, size)
    likeness = np.fft.irfft(np.abs(spectrum) ** 2, size)[:taps]  # of the source to itself, delayed
    crossed = np.fft.irfft(np.conj(spectrum) * np.fft.rfft(heard, size), size)[:taps]
    explained = float(np.dot(crossed, _solved(likeness, crossed)))
    return ratio_db(explained, max(0.0, energy - explained))


def _solved(likeness: Waveform, crossed: Waveform) -> Waveform:
    """The best filter; of a source with bands that are empty to rounding the shortest one."""
    matrix = toeplitz(likeness)
    try:
        return np.asarray(solve(matrix, crossed, assume_a="pos"))
    except LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, crossed, rcond=None)[0])
