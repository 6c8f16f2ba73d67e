"""Waveform metrics in float64. Waveforms are [T] or [S, T] in any one unit; results are decibels, or 0 to 1 for STOI.

A perfect estimate has +inf dB and a silent one −inf dB: nothing is added to a denominator to hide either.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from pystoi import stoi as pystoi_stoi

Waveform = npt.NDArray[np.float64]


def ratio_db(signal: float, noise: float) -> float:
    """10·log10(signal / noise) of two energies; +inf without noise, −inf without signal.

    Raises:
        ValueError: both are zero, so that there is nothing to compare.
    """
    if signal == 0 and noise == 0:
        raise ValueError("signal and noise are both silent: their ratio is undefined")
    with np.errstate(divide="ignore"):
        return float(10 * (np.log10(signal) - np.log10(noise)))


def si_sdr(estimate: npt.ArrayLike, source: npt.ArrayLike) -> float:
    """Scale-invariant SDR of zero-mean signals in dB (Le Roux et al. 2019, "SDR: half-baked or well done?").

    Args:
        estimate, source: [T], or [A, T] with the channels taken together.

    Raises:
        ValueError: the lengths differ, or the source is constant.
    """
    target, residual = split_by_projection(estimate, source)
    signal, noise = _energy(target), _energy(residual)
    return -np.inf if signal == 0 else ratio_db(signal, noise)


def split_by_projection(estimate: npt.ArrayLike, source: npt.ArrayLike) -> tuple[Waveform, Waveform]:
    """The zero-mean estimate, flat, as (part along the zero-mean source, rest at right angles to it).

    Raises:
        ValueError: the lengths differ, or the source is constant.
    """
    first, second = (waveform.reshape(-1) for waveform in _pair(estimate, source))
    first, second = first - first.mean(), second - second.mean()
    energy = _energy(second)
    if energy == 0:
        raise ValueError("the source is silent: SI-SDR is undefined")
    target = (float(np.dot(first, second)) / energy) * second
    return target, first - target


def sdr(estimates: npt.ArrayLike, sources: npt.ArrayLike) -> list[float]:
    """Plain SDR of each of the S sources, 10·log10(‖s‖² / ‖ŝ − s‖²) dB; eq. (2) of the FQSS paper is their mean. Both are [S, T] in one
    unit."""
    first, second = _pair(estimates, sources)
    return [ratio_db(_energy(s), _energy(e - s)) for e, s in zip(first, second, strict=True)]


def sdr_of_windows(estimates: npt.ArrayLike, sources: npt.ArrayLike, sample_rate: int) -> list[float]:
    """SDR of music as museval has it (BSS Eval version 4, Stöter, Liutkus and Ito 2018): of each source the median over windows of 1 s.

    Its filters share the error among space, interference and artefacts, whose sum does not depend on them: its SDR is the plain ratio.
    What is left of a last window does not count, nor a window in which any source or estimate is silent. Silent means, there as here,
    that the sum of the channels is zero throughout: a source whose two channels cancel each other is silent too. Where no window counts
    (museval gives NaN), the whole recording is one window.

    Args:
        estimates, sources: [S, T] or [S, A, T] in one unit.
    """
    ratios = window_ratios(estimates, sources, sample_rate)
    if not ratios:
        ratios = [[ratio_db(_energy(s), _energy(e - s)) for e, s in zip(*_pair(estimates, sources), strict=True)]]
    return [float(median) for median in np.median(ratios, axis=0)]


def window_ratios(estimates: npt.ArrayLike, sources: npt.ArrayLike, sample_rate: int) -> list[list[float]]:
    """The SDR of each source in each window of 1 s that counts, as :func:`sdr_of_windows` has them."""
    pairs = list(zip(*_pair(estimates, sources), strict=True))
    starts = range(0, pairs[0][0].shape[-1] - sample_rate + 1, sample_rate)
    windows = [[(e[..., at : at + sample_rate], s[..., at : at + sample_rate]) for e, s in pairs] for at in starts]
    counted = [window for window in windows if all(_sounds(e) and _sounds(s) for e, s in window)]
    return [[ratio_db(_energy(s), _energy(e - s)) for e, s in window] for window in counted]


def _sounds(waveform: Waveform) -> bool:
    """Whether the sum over the channels of [T] or [A, T] is other than zero anywhere."""
    return bool(np.any(waveform if waveform.ndim == 1 else waveform.sum(axis=0)))


def sqnr(reference: npt.ArrayLike, quantized: npt.ArrayLike) -> float:
    """10·log10(‖reference‖² / ‖quantized − reference‖²) in dB, of arrays of one shape; +inf where they are equal, silence too."""
    first, second = _pair(reference, quantized)
    noise = _energy(second - first)
    return np.inf if noise == 0 else ratio_db(_energy(first), noise)


def stoi(estimate: npt.ArrayLike, source: npt.ArrayLike, sample_rate: int) -> float | None:
    """Classic (not extended) STOI of [T] waveforms, by pystoi.

    None where the source holds too little speech for it: STOI compares stretches of 30 frames, 0.4 s, that are left after the frames
    40 dB below the loudest are cut. pystoi itself warns and gives 1e-5, or raises AxisError where not one frame is left.
    """
    first, second = _pair(estimate, source)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            return float(pystoi_stoi(second, first, sample_rate, extended=False))
        except (RuntimeWarning, np.exceptions.AxisError):
            return None


def source_snr(sources: npt.ArrayLike, mixture: npt.ArrayLike) -> list[float]:
    """SNR of each of the [S, T] sources against the rest of the mixture [T], in dB (FQSS paper, III-B)."""
    signals = np.asarray(sources, np.float64)
    whole = np.asarray(mixture, np.float64)
    return [ratio_db(_energy(s), _energy(whole - s)) for s in signals]


def _energy(waveform: Waveform) -> float:
    return float(np.sum(np.square(waveform)))


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Waveform, Waveform]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"waveforms of different shapes: {list(a.shape)} and {list(b.shape)}")
    return a, b
