"""The float front end of a model that works on a spectrogram and on the waveform: PCM to both, and both back to PCM; numpy alone.

HTDemucs (Rouard, Massa and Défossez 2023) computes these parts in float, before and behind what is learned. All of them belong to one
segment, so that nothing of a recording need be known in advance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_runtime.signature import Pcm
from export_specs.file_metadata import SpectrogramFrontEnd

Samples = npt.NDArray[np.float64]
FULL_SCALE = 32768.0
EPS = 1e-5
OVERLAP = 4  # frames that cover a sample
WINDOW_POWER = 1.5  # sum of the squares of OVERLAP Hann windows


def to_spectrogram(waveform: Samples, n_fft: int) -> Samples:
    """Short-time Fourier transform of a waveform [A, T], T > 5 n_fft / 8: [2 A, n_fft / 2, ceil(T / hop)], hop = n_fft / 4.

    The channels are real and imaginary part of each audio channel. The highest frequency is left out; both ends are reflected.
    """
    hop = n_fft // OVERLAP
    frames = -(-waveform.shape[-1] // hop)
    pad = hop // 2 * 3
    padded = np.pad(waveform, ((0, 0), (pad, pad + frames * hop - waveform.shape[-1])), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    spectrum = np.fft.rfft(windows * _hann(n_fft), axis=2)[:, :, :-1] / np.sqrt(n_fft)  # [A, F, Fr]
    parts = np.stack([spectrum.real, spectrum.imag], axis=1)  # [A, 2, F, Fr]
    return np.ascontiguousarray(parts.reshape(-1, *spectrum.shape[1:]).swapaxes(1, 2))


def to_waveform(spectrogram: Samples, samples: int) -> Samples:
    """The inverse, by overlap-add: [2 A, n_fft / 2, F] to [A, samples]."""
    channels, bins, frames = spectrogram.shape
    n_fft, hop = 2 * bins, 2 * bins // OVERLAP
    parts = spectrogram.reshape(-1, 2, bins, frames).swapaxes(2, 3)  # [A, 2, F, Fr]
    spectrum = np.pad(parts[:, 0] + 1j * parts[:, 1], ((0, 0), (0, 0), (0, 1)))
    pieces = np.fft.irfft(spectrum, axis=2) * (_hann(n_fft) * np.sqrt(n_fft) / WINDOW_POWER)
    total = np.zeros((channels // 2, frames + OVERLAP - 1, hop))
    for part in range(OVERLAP):
        total[:, part : part + frames] += pieces[:, :, part * hop : (part + 1) * hop]
    start = hop // 2 * 3
    return np.ascontiguousarray(total.reshape(channels // 2, -1)[:, start : start + samples])


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of a segment's spectrogram and waveform."""

    spectrogram: tuple[float, float]
    waveform: tuple[float, float]


@dataclass(frozen=True)
class FrontEnd:
    """From PCM to the int16 inputs of a model, and from its int16 outputs to PCM.

    ``n_fft`` of the spectrogram. ``input_scales`` and ``output_scales``: what int16 full scale stands for, in deviations of the segment's
    spectrogram and of its waveform, in this order.
    """

    n_fft: int
    input_scales: tuple[float, float]
    output_scales: tuple[float, float]

    @classmethod
    def of(cls, described: SpectrogramFrontEnd) -> FrontEnd:
        """The front end that a model file's metadata describe."""
        before, behind = described.input, described.output
        return cls(described.n_fft, (before.spectrogram, before.waveform), (behind.spectrogram, behind.waveform))

    def standardise(self, pcm: Pcm) -> tuple[Samples, Samples, Statistics]:
        """int16 [A, T] as spectrogram [2 A, Fr, F] and waveform [A, T], both with mean 0 and deviation 1, and what they were."""
        values, statistics = [], []
        for part in (to_spectrogram(pcm / FULL_SCALE, self.n_fft), pcm / FULL_SCALE):
            mean, deviation = float(part.mean()), float(part.std(ddof=1))
            values.append((part - mean) / (EPS + deviation))
            statistics.append((mean, deviation))
        return values[0], values[1], Statistics(statistics[0], statistics[1])

    def restore(self, spectrogram: Samples, waveform: Samples, statistics: Statistics) -> Pcm:
        """Standardised spectrogram [S * 2 A, Fr, F] and waveform [S * A, T] as int16 PCM [S * A, T], the sum of both; saturates."""
        (mean, deviation), (mean_t, deviation_t) = statistics.spectrogram, statistics.waveform
        from_spectrogram = to_waveform(spectrogram * deviation + mean, waveform.shape[-1])
        return _to_int16(from_spectrogram + waveform * deviation_t + mean_t)

    def analyse(self, pcm: Pcm) -> tuple[Pcm, Pcm, Statistics]:
        """As :meth:`standardise`, in int16 codes; rounds half to even and saturates."""
        spectrogram, waveform, statistics = self.standardise(pcm)
        scales = self.input_scales
        return _to_int16(spectrogram / scales[0]), _to_int16(waveform / scales[1]), statistics

    def synthesise(self, spectrogram: Pcm, waveform: Pcm, statistics: Statistics) -> Pcm:
        """As :meth:`restore`, from int16 codes."""
        scales = self.output_scales
        values, values_t = (
            codes.astype(np.float64) * (scale / FULL_SCALE) for codes, scale in zip((spectrogram, waveform), scales, strict=True)
        )
        return self.restore(values, values_t, statistics)


def _to_int16(values: Samples) -> Pcm:
    return np.clip(np.rint(values * FULL_SCALE), -32768, 32767).astype(np.int16)


def _hann(length: int) -> Samples:
    """The periodic window, sin² of half turns."""
    return np.sin(np.pi * np.arange(length) / length) ** 2
