"""What is done to training examples so that a network meets more than its data set holds: schema, and the waveforms that come of it.

Speeds, levels, colour, pauses and rooms change the sources, so they change what the network shall give out. Noise, clicks and the drift of
a microphone are added to the mixture alone: the network learns to leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from export_specs.strict import Strict
from pipeline.data.mixing import LOUDNESS_LUFS, Waveform
from pipeline.data.noise import COLOURS, coloured_noise, recorded_noise

FADE_SECONDS = 0.01
CLICK_SECONDS = (0.0002, 0.002)  # in which a click falls to 1/e
DRIFT_HERTZ = (0.05, 1.0)
SLOPE_FROM_HERTZ = 100.0  # below it the response is level


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] <= ends[1]:
        raise ValueError(f"{list(ends)}: the least comes first")
    return ends


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Sometimes(Strict):
    """What happens to a share of the examples."""

    share: float = Field(gt=0, le=1, description="of the examples")


class Pauses(Sometimes):
    """A source falls silent for a while."""

    seconds: Range = Field(default=(0.1, 1.0), description="least and greatest length")


class Offset(Sometimes):
    """A microphone's constant offset and slow drift, 0.05 to 1 Hz, as large as each other."""

    level_db: Range = Field(default=(-40.0, -15.0), description="of both together, over the mixture's power")


class Clicks(Sometimes):
    """Short clicks."""

    per_second: float = Field(default=1.0, gt=0, description="on average; at least one an example")
    peak_db: Range = Field(default=(0.0, 20.0), description="over the mixture's root mean square")


class Noise(Sometimes):
    """Noise: recordings, or steady noise (white, pink or brown)."""

    snr_db: Range = Field(default=(15.0, 40.0), description="of the mixture over it")
    recorded: str = Field(default="", description="folder of recordings, at any depth, relative to the list's own; none: steady noise")


class Colour(Sometimes):
    """The frequency response of another microphone or telephone: a high-pass and a slope, drawn for each source."""

    high_pass_hertz: Range = Field(default=(20.0, 300.0), description="where the second-order high-pass lets half the power through")
    slope_db: Range = Field(default=(-3.0, 3.0), description="by which the response rises an octave")


class Rooms(Sometimes):
    """Rooms in which the sources stand, by pyroomacoustics; the reverberant sources are what the network shall give out."""

    number: int = Field(default=100, gt=0, description="of different rooms; they are computed when training begins")
    rt60_seconds: Range = Field(default=(0.1, 0.4), description="time in which the sound falls by 60 dB, by Sabine's formula")


class Augmentation(Strict):
    """All that may be done. What is not named is not done, but for speeds and levels."""

    speed: Range = Field(default=(0.85, 1.15), description="1: as recorded")
    loudness_lufs: Range = Field(default=LOUDNESS_LUFS, description="of each source, drawn evenly")
    colour: Colour | None = None
    pauses: Pauses | None = None
    offset: Offset | None = None
    clicks: Clicks | None = None
    noise: Noise | None = None
    rooms: Rooms | None = None


def happens(what: Sometimes | None, random: np.random.Generator) -> bool:
    """Whether it does this time. Nothing is drawn for what is never done."""
    return what is not None and bool(random.uniform() < what.share)


def coloured(source: Waveform, colour: Colour, sample_rate: int, random: np.random.Generator) -> Waveform:
    """The source [T] through a random frequency response without phase, at the power it had."""
    corner = math.exp(random.uniform(*np.log(colour.high_pass_hertz)))
    slope = random.uniform(*colour.slope_db)
    hertz = np.maximum(np.fft.rfftfreq(2 * len(source), 1 / sample_rate), 1.0)  # padded to twice the length: no wrap-around
    high_pass = 1 / np.sqrt(1 + (corner / hertz) ** 4)  # of Butterworth
    tilt = 10 ** (slope * np.log2(np.maximum(hertz, SLOPE_FROM_HERTZ) / SLOPE_FROM_HERTZ) / 20)
    filtered = np.fft.irfft(np.fft.rfft(source, 2 * len(source)) * high_pass * tilt)[: len(source)]
    before, after = (math.sqrt(float(np.mean(np.square(x, dtype=np.float64)))) for x in (source, filtered))
    return (filtered * (before / after if after else 1.0)).astype(np.float32)


def with_pause(source: Waveform, pauses: Pauses, sample_rate: int, random: np.random.Generator) -> Waveform:
    """The source [T] with a silence at a random place, faded out and in; at most half of it is silent."""
    fade = round(FADE_SECONDS * sample_rate)
    length = min(round(random.uniform(*pauses.seconds) * sample_rate), len(source) // 2)
    start = int(random.integers(len(source) - length + 1))
    gain = np.ones(len(source) + 2 * fade)
    down = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 1) / (fade + 1))
    gain[start : start + length + 2 * fade] = np.concatenate([down, np.zeros(length), down[::-1]])
    return (source * gain[fade : fade + len(source)]).astype(np.float32)


def disturbance(
    mixture: Waveform, augmentation: Augmentation, sample_rate: int, random: np.random.Generator, recordings: Sequence[Path] = ()
) -> Waveform:
    """What is added to a mixture [T]: noise, clicks and offset, each of them with its share; zeros where the mixture is silent.

    ``recordings``: audio files that the noise is taken from; without any it is steady.
    """
    level = float(np.sqrt(np.mean(np.square(mixture, dtype=np.float64))))
    added = np.zeros(len(mixture))
    if augmentation.noise is not None and happens(augmentation.noise, random):
        if recordings:
            noise = recorded_noise(recordings, len(mixture), sample_rate, random)
        else:
            noise = coloured_noise(list(COLOURS)[random.integers(len(COLOURS))], len(mixture), sample_rate, random)
        added += noise * _amplitude(-random.uniform(*augmentation.noise.snr_db))
    if augmentation.clicks is not None and happens(augmentation.clicks, random):
        added += _clicks(augmentation.clicks, len(mixture), sample_rate, random)
    if augmentation.offset is not None and happens(augmentation.offset, random):
        amplitude = _amplitude(random.uniform(*augmentation.offset.level_db)) / math.sqrt(2)
        hertz, phase = random.uniform(*DRIFT_HERTZ), random.uniform(0, 2 * np.pi)
        drift = math.sqrt(2) * np.sin(2 * np.pi * hertz * np.arange(len(mixture)) / sample_rate + phase)
        added += amplitude * (random.choice([-1.0, 1.0]) + drift)
    return (level * added).astype(np.float32)


def _clicks(clicks: Clicks, samples: int, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    added = np.zeros(samples)
    for _ in range(max(1, int(random.poisson(clicks.per_second * samples / sample_rate)))):
        start, fall = int(random.integers(samples)), random.uniform(*CLICK_SECONDS) * sample_rate
        shape = np.exp(-np.arange(min(samples - start, math.ceil(7 * fall))) / fall)
        added[start : start + len(shape)] += shape * random.choice([-1.0, 1.0]) * _amplitude(random.uniform(*clicks.peak_db))
    return added


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
