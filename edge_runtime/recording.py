"""Recordings in: any format, rate and number of channels that soundfile reads, as int16 PCM at the model's rate, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from edge_runtime.signature import Pcm
from export_specs.foundation.audio_file import AudioFile, open_audio
from export_specs.foundation.errors import UserError

Samples = npt.NDArray[np.float64]
RATES = (1000, 1_000_000)  # Hz; what is below or above is a broken header
_CLIPPED_RUN = 3
_WIDE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_CANCELLED = 0.1  # of the power that the mean of unrelated channels has
_CONSTANT = 0.01  # of the power of the sound; a constant above that is told


@dataclass(frozen=True)
class Recording:
    """A recording, measured and ready to be read for a model.

    Its PCM is the recording · 2^``exponent`` at the model's rate. The exponent is 0 where int16 holds the samples exactly; otherwise (24
    bits, float, resampled, mixed) it brings the peak into [0.5, 1), so that a soft recording keeps its precision.
    ``rate`` and ``frames`` are those of the file, ``samples`` are there at the model's rate; ``wide`` tells that the file holds more than
    16 bits.
    """

    exponent: int
    rate: int
    frames: int
    samples: int
    wide: bool
    warnings: tuple[str, ...]
    audio: AudioFile
    model_rate: int
    channel: str
    audio_channels: int | None

    def blocks(self) -> Iterator[Pcm]:
        """The PCM from its beginning, int16 [n], or [A, n] for a model of A channels, piece by piece."""
        for block in resampled(_chosen(self.audio, self.channel, self.audio_channels), self.rate, self.model_rate):
            codes = np.clip(np.rint(np.ldexp(block, self.exponent + 15)), -32768, 32767).astype(np.int16)
            yield np.ascontiguousarray(codes.T)

    @property
    def pcm(self) -> Pcm:
        """All of it at once."""
        return np.concatenate(list(self.blocks()), axis=-1)


@contextmanager
def open_recording(
    path: Path, model_rate: int, channel: str = "mix", shortest_samples: int = 1, audio_channels: int | None = None
) -> Iterator[Recording]:
    """Open a recording for a model. It is read once to measure it; a pipe is kept in a temporary file as long as it is open.

    Args:
        model_rate: the model's samples per second.
        channel: "mix" for all channels (a mono model gets their mean), or a channel's number, counted from 1.
        shortest_samples: a shorter recording, at the model's rate, is refused.
        audio_channels: of the model; None for a mono one. It gets one channel in each of its own, or as many as it has.

    Raises:
        UserError: no such file, not audio, no such channel, empty, too short, damaged, NaN or infinity in it, a rate that no recording has,
            or another number of channels.
    """
    with open_audio(path) as audio:
        yield _measured(audio, model_rate, channel, shortest_samples, audio_channels)


def resampled(blocks: Iterator[Samples], rate: int, wanted: int) -> Iterator[Samples]:
    """Blocks [n] or [n, channels] at another rate; the samples do not depend on where the blocks end."""
    if rate == wanted:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    last = np.zeros(0)
    for block in blocks:
        if stream is None:
            stream = soxr.ResampleStream(rate, wanted, block.shape[1] if block.ndim > 1 else 1, dtype="float64", quality="VHQ")
        last = block[:0]
        yield stream.resample_chunk(block)
    if stream is not None:
        yield stream.resample_chunk(last, last=True)


def _measured(audio: AudioFile, model_rate: int, channel: str, shortest_samples: int, audio_channels: int | None) -> Recording:
    path, rate = audio.path, audio.rate
    if not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"{path}: its header tells of {rate} Hz, which no recording has ({RATES[0]} to {RATES[1]} are read)")
    _check_channel(audio, channel, audio_channels)
    facts = _Facts()
    mixes = channel == "mix" and audio_channels is None and audio.channels > 1
    peak, samples, fits = 0.0, 0, True
    for block in resampled(_chosen(audio, channel, audio_channels, facts), rate, model_rate):
        samples += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        fits = fits and _fits_int16(block)
    if not facts.frames:
        raise UserError(f"{path} is empty: it holds no samples")
    if facts.frames * model_rate < shortest_samples * rate:
        raise UserError(
            f"{path} is too short: {facts.frames} samples at {rate} Hz, the model's window is {shortest_samples} samples at {model_rate} Hz"
        )
    warnings = [*audio.warnings, *(f"{path} {fact}" for fact in facts.warnings(mixes))]
    exponent = 0 if fits else -math.frexp(peak)[1]
    wide = audio.subtype in _WIDE
    return Recording(exponent, rate, facts.frames, samples, wide, tuple(warnings), audio, model_rate, channel, audio_channels)


class _Facts:
    """What one pass over a recording finds out: its length, and what is wrong with it."""

    def __init__(self) -> None:
        self.frames, self.peak, self.clipped = 0, 0.0, False
        self._power = self._mixed_power = self._unrelated_power = 0.0
        self._sum: Samples | float = 0.0
        self._before = np.zeros((0, 1))

    def add(self, samples: Samples, chosen: Samples) -> None:
        """A block of the file [n, channels], and what of it the model gets, [n] or [n, A]."""
        self.frames += len(chosen)
        self.peak = max(self.peak, float(np.abs(chosen).max(initial=0.0)))
        table = chosen.reshape(len(chosen), -1)
        ends = np.concatenate([self._before, table]) if self._before.shape[1] == table.shape[1] else table
        self.clipped = self.clipped or _is_clipped(ends)
        self._before = ends[1 - _CLIPPED_RUN :]
        self._sum = self._sum + table.sum(axis=0)
        self._power += float(np.square(table).sum()) / table.shape[1]
        self._mixed_power += float(np.square(samples.mean(axis=1)).sum())
        self._unrelated_power += float(np.square(samples).sum()) / samples.shape[1] ** 2

    def warnings(self, mixes: bool) -> Iterator[str]:
        """What a user should know. ``mixes``: the model gets the mean of the channels."""
        if self.peak > 1:
            yield "goes beyond full scale: results that do so are clipped; lower its level to keep them whole"
        elif self.clipped:
            yield "is clipped: expect distortion where it is"
        if mixes and self._unrelated_power > 0 and self._mixed_power < _CANCELLED * self._unrelated_power:
            yield "has channels that cancel each other in their mean, which this model gets: choose one with --channel"
        constants = np.atleast_1d(self._sum) / max(1, self.frames)
        sound = self._power - float(np.square(constants).mean()) * self.frames
        if float(np.square(constants).mean()) * self.frames > _CONSTANT * max(0.0, sound) and np.abs(constants).max() > 2.0**-15:
            told = ", ".join(f"{constant:.3f}" for constant in constants)
            yield f"has a constant ({told} of full scale) under the sound, as of a microphone: it is removed"


def _chosen(audio: AudioFile, channel: str, audio_channels: int | None, facts: _Facts | None = None) -> Iterator[Samples]:
    """The blocks of a file as [n], or as [n, A] for a model of A channels.

    Raises:
        UserError: NaN or infinity in it.
    """
    done = 0
    for samples in audio.blocks():
        if channel != "mix":
            chosen = samples[:, int(channel) - 1]
            chosen = chosen if audio_channels is None else np.repeat(chosen[:, None], audio_channels, axis=1)
        elif audio_channels is None:
            chosen = samples.mean(axis=1)
        else:
            chosen = np.repeat(samples, audio_channels // audio.channels, axis=1)
        if not np.isfinite(chosen).all():
            first = done + int(np.argmin(np.isfinite(chosen).reshape(len(chosen), -1).all(axis=1)))
            raise UserError(f"{audio.path} holds NaN or infinity, first at {first / audio.rate:.3f} s: write it again without")
        done += len(chosen)
        if facts is not None:
            facts.add(samples, chosen)
        yield chosen


def _check_channel(audio: AudioFile, channel: str, audio_channels: int | None) -> None:
    count = audio.channels
    if channel == "mix":
        if audio_channels is not None and count not in (1, audio_channels):
            raise UserError(
                f"{audio.path} has {count} channels, the model {audio_channels}: choose one with --channel, or bring it to as many"
            )
    elif not (channel.isascii() and channel.isdecimal()) or not 1 <= int(channel) <= count:
        raise UserError(f"{audio.path} has no channel '{channel}'. Choose one of: {', '.join([*map(str, range(1, count + 1)), 'mix'])}.")


def _fits_int16(samples: Samples) -> bool:
    codes = samples * 32768
    return bool(np.array_equal(codes, np.rint(codes)) and codes.min(initial=0) >= -32768 and codes.max(initial=0) <= 32767)


def _is_clipped(samples: Samples) -> bool:
    """Whether some samples in a row [n, channels] stand at the same end of the scale."""
    for full in (samples >= 1 - 2.0**-15, samples <= -1.0):
        run = full[: len(full) - _CLIPPED_RUN + 1].copy()
        for offset in range(1, _CLIPPED_RUN):
            run &= full[offset : offset + len(run)]
        if run.any():
            return True
    return False
