"""Noise: babble of other voices, coloured noise, and recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.mixing import Waveform, load_utterance

COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # the power falls with this exponent of the frequency
LOWEST_HZ = 50.0  # below, brown noise would hold most of its power and be inaudible
BABBLE_VOICES = (3, 6)


def coloured_noise(colour: str, samples: int, sample_rate: int, random: np.random.Generator) -> Waveform:
    """Gaussian noise [T] of unit power above 50 Hz whose spectrum falls by 0 (white), 3 (pink) or 6 dB (brown) an octave."""
    frequency = np.fft.rfftfreq(samples, 1 / sample_rate)
    shape = np.where(frequency >= LOWEST_HZ, np.maximum(frequency, LOWEST_HZ) ** (-COLOURS[colour] / 2), 0.0)
    return _unit_power(np.fft.irfft(np.fft.rfft(random.standard_normal(samples)) * shape, samples))


def babble(voices: Sequence[Waveform], samples: int, random: np.random.Generator) -> Waveform:
    """The voices at equal power, each repeated from a random place on, summed: [T] of unit power."""
    total = np.zeros(samples)
    for voice in voices:
        start = int(random.integers(len(voice)))
        total += _unit_power(np.take(voice, np.arange(start, start + samples), mode="wrap"))
    return _unit_power(total)


def background(voices: Sequence[Waveform], samples: int, sample_rate: int, random: np.random.Generator) -> Waveform:
    """Babble and noise of a random colour, at random shares of the power: [T] of unit power."""
    share = random.uniform()
    colour = list(COLOURS)[random.integers(len(COLOURS))]
    noise = coloured_noise(colour, samples, sample_rate, random)
    return _unit_power(np.sqrt(share) * babble(voices, samples, random) + np.sqrt(1 - share) * noise)


def recorded_noise(files: Sequence[Path], samples: int, sample_rate: int, random: np.random.Generator) -> Waveform:
    """A random recording from a random place on, repeated where it is shorter: [T] of unit power, zeros where it is silent.

    Raises:
        UserError: a file that cannot be read.
    """
    recording = load_utterance(files[int(random.integers(len(files)))], sample_rate)
    start = int(random.integers(max(1, len(recording) - samples + 1)))
    return _unit_power(np.take(recording, np.arange(start, start + samples), mode="wrap"))


def _unit_power(waveform: NDArray[Any]) -> Waveform:
    power = np.mean(np.square(waveform, dtype=np.float64))
    return (waveform / np.sqrt(power) if power > 0 else waveform).astype(np.float32)
