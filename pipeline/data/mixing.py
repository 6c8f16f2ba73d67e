"""Mixtures as LibriMix makes them, and at a wanted SNR (the corrected Algorithm 1 of the FQSS paper).

Waveforms are float arrays; 1.0 is full scale of 16-bit PCM. Mixtures lie on the 16-bit grid.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyloudnorm
import soxr
from numpy.typing import NDArray

from pipeline.data.audio_files import read_audio

LOUDNESS_LUFS = (-33.0, -25.0)
PEAK_LIMIT = 0.9
FULL_SCALE = 32768

Waveform = NDArray[np.float32]


def load_utterance(path: Path, sample_rate: int) -> Waveform:
    """Mono waveform [T] at ``sample_rate`` from any file that soundfile reads (channels are averaged).

    Raises:
        UserError: not audio, empty, damaged, or holding NaN or infinity; the file is named.
    """
    samples, rate = read_audio(path)
    mono = samples.mean(axis=1)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="VHQ")
    return np.asarray(mono, np.float32)


def loudness(waveform: Waveform, sample_rate: int) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770, pyloudnorm). Shorter than one 0.4 s gate: of the waveform repeated."""
    gate = math.ceil(0.4 * sample_rate) + 1
    if len(waveform) < gate:
        waveform = np.tile(waveform, math.ceil(gate / len(waveform)))
    return float(pyloudnorm.Meter(sample_rate).integrated_loudness(waveform.astype(np.float64)))


def at_loudness(waveform: Waveform, measured_lufs: float, wanted_lufs: float) -> Waveform:
    """The waveform scaled to ``wanted_lufs``, its peak limited to 0.9 (scaled down as a whole, as LibriMix does)."""
    if not math.isfinite(measured_lufs):
        return waveform
    scaled = waveform * 10 ** ((wanted_lufs - measured_lufs) / 20)
    peak = float(np.abs(scaled).max())
    return (scaled * (PEAK_LIMIT / peak) if peak > PEAK_LIMIT else scaled).astype(np.float32)


def mix_at_snr(first: Waveform, second: Waveform, snr_db: float) -> tuple[Waveform, Waveform]:
    """Both sources [T], the louder one lowered so that the first is ``snr_db`` above the second.

    Algorithm 1 of the paper with the amplitude factor 10^((a-b)/20), not the square root of a ratio of decibels.
    A source without power is left alone. The mixture's peak is limited to 0.9 by scaling both.
    """
    power_first, power_second = (float(np.mean(np.square(x, dtype=np.float64))) for x in (first, second))
    if power_first > 0 and power_second > 0:
        measured = 10 * math.log10(power_first / power_second)
        if measured < snr_db:
            second = (second * 10 ** ((measured - snr_db) / 20)).astype(np.float32)
        else:
            first = (first * 10 ** ((snr_db - measured) / 20)).astype(np.float32)
    return peak_limited(first, second)


def peak_limited(first: Waveform, second: Waveform) -> tuple[Waveform, Waveform]:
    """Both parts [T], scaled down alike where the peak of their sum is above 0.9."""
    peak = float(np.abs(first + second).max())
    gain = np.float32(min(1.0, PEAK_LIMIT / peak)) if peak > 0 else np.float32(1)
    return first * gain, second * gain


def power_of_two_gain(peak: float) -> float:
    """2^k (k >= 0) that brings ``peak`` (of full scale) into [0.5, 1); 1 for silence.

    The device does the same with a shift chosen from the segment's peak.
    """
    return 2.0 ** max(0, -math.frexp(peak)[1]) if peak > 0 else 1.0


def at_device_level(sources: Waveform) -> Waveform:
    """Sources [S, ..., T] on the 16-bit grid, at the power of two that brings the peak of their sum into [0.5, 1) of full scale.

    The sum must be within 16 bits: a peak beyond 0.999 is scaled down to it.
    """
    peak = float(np.abs(sources.sum(axis=0)).max())
    gain = power_of_two_gain(peak)
    return on_pcm_grid(sources * np.float32(gain * min(1.0, 0.999 / max(1e-9, peak * gain))))


def on_pcm_grid(waveform: Waveform) -> Waveform:
    """Rounded to 16-bit codes and saturated, still in units of full scale."""
    return (np.clip(np.rint(waveform * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1) / FULL_SCALE).astype(np.float32)
