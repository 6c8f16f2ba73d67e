"""Recordings in and out: any format, rate and number of channels that soundfile reads, as int16 PCM at the model's rate."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from edge_runtime.signature import Pcm
from export_specs.foundation.atomic import atomic_path
from export_specs.foundation.errors import UserError

Samples = npt.NDArray[np.float64]
FormatName = Literal["wav", "flac"]
_CLIPPED_RUN = 3
_WIDE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Recording:
    """A recording, ready for the model.

    ``pcm`` is int16 [N], or [A, N] for a model of A channels, at the model's rate: the recording · 2^``exponent``. The exponent is 0 where
    int16 holds the
    samples exactly; otherwise (24 bits, float, resampled, mixed) it brings the peak into [0.5, 1),
    so that a soft recording keeps its precision.
    ``rate`` and ``frames`` are those of the file, ``wide`` tells that it holds more than 16 bits.
    """

    pcm: Pcm
    exponent: int
    rate: int
    frames: int
    wide: bool
    warnings: tuple[str, ...] = ()


def read_recording(
    path: Path, model_rate: int, channel: str = "mix", shortest_samples: int = 1, audio_channels: int | None = None
) -> Recording:
    """Read a recording for a model.

    Args:
        model_rate: the model's samples per second.
        channel: "mix" for all channels (a mono model gets their mean), or a channel's number, counted from 1.
        shortest_samples: a shorter recording, at the model's rate, is refused.
        audio_channels: of the model; None for a mono one. It gets one channel in each of its own, or as many as it has.

    Raises:
        UserError: no such file, not audio, no such channel, empty, too short, NaN or infinity in it, or another number of channels.
    """
    samples, rate, subtype = _read(path)
    chosen = _choose_channels(path, samples, channel, audio_channels)
    if not np.isfinite(chosen).all():
        first = int(np.argmin(np.isfinite(chosen).reshape(len(chosen), -1).all(axis=1)))
        raise UserError(f"{path} holds NaN or infinity, first at {first / rate:.3f} s: write it again without")
    if len(chosen) * model_rate < shortest_samples * rate:
        raise UserError(
            f"{path} is too short: {len(chosen)} samples at {rate} Hz, the model's window is {shortest_samples} samples at {model_rate} Hz"
        )
    warnings = []
    if np.abs(chosen).max() > 1:
        warnings.append(f"{path} goes beyond full scale: results that do so are clipped; lower its level to keep them whole")
    elif _is_clipped(chosen):
        warnings.append(f"{path} is clipped: expect distortion where it is")
    frames = len(chosen)
    if rate != model_rate:
        chosen = soxr.resample(chosen, rate, model_rate, quality="VHQ")
    peak = float(np.abs(chosen).max(initial=0.0))
    exponent = 0 if _fits_int16(chosen) else -math.frexp(peak)[1]
    pcm = np.clip(np.rint(np.ldexp(chosen, exponent + 15)), -32768, 32767).astype(np.int16)
    return Recording(np.ascontiguousarray(pcm.T), exponent, rate, frames, subtype in _WIDE, tuple(warnings))


def restore(separated: Pcm, recording: Recording, model_rate: int) -> Samples:
    """int16 [S, N] at the model's rate as float64 [S, frames] at the recording's rate, length and level (1.0 is full scale).

    [S, A, N] of a model of A channels becomes [S, A, frames].
    """
    samples = np.ldexp(separated.astype(np.float64), -15 - recording.exponent)
    if recording.rate != model_rate:
        rows = samples.reshape(-1, samples.shape[-1])
        resampled = soxr.resample(rows.T, model_rate, recording.rate, quality="VHQ").T
        samples = resampled.reshape(*samples.shape[:-1], -1)
    missing = max(0, recording.frames - samples.shape[-1])
    return np.pad(samples, (*[(0, 0)] * (samples.ndim - 1), (0, missing)))[..., : recording.frames]


def write_sources(
    folder: Path,
    stem: str,
    sources: Samples,
    rate: int,
    kind: FormatName = "wav",
    wide: bool = False,
    names: Sequence[str] = (),
) -> list[Path]:
    """Write float64 [S, N] or [S, A, N], all or none; 24 bits where ``wide``, else 16, saturated.

    The files are ``<stem>_1.<kind>`` and so on, or ``<stem>_<name>.<kind>`` where the sources have names.

    Raises:
        UserError: the folder cannot be written to.
    """
    paths = [folder / f"{stem}_{name}.{kind}" for name in names or range(1, len(sources) + 1)]
    bits = 24 if wide else 16
    top = 2.0 ** (bits - 1)
    try:
        with ExitStack() as stack:
            for path, samples in zip(paths, sources, strict=True):
                codes = np.clip(np.rint(samples * top), -top, top - 1).astype(np.int32) << (32 - bits)
                content = io.BytesIO()
                soundfile.write(content, codes.T, rate, subtype=f"PCM_{bits}", format=kind.upper())
                stack.enter_context(atomic_path(path)).write_bytes(content.getvalue())
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return paths


def _read(path: Path) -> tuple[Samples, int, str]:
    """float64 [N, channels], the rate, and soundfile's name of the sample format."""
    if not path.is_file():
        raise UserError(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}: name a recording (WAV, FLAC, Ogg and what else soundfile reads)"
        )
    try:
        with soundfile.SoundFile(path) as stream:
            samples = stream.read(dtype="float64", always_2d=True)
            rate, subtype = stream.samplerate, stream.subtype
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} is not audio that soundfile reads: {error.error_string}") from error
    if not len(samples):
        raise UserError(f"{path} is empty: it holds no samples")
    return samples, rate, subtype


def _choose_channels(path: Path, samples: Samples, channel: str, audio_channels: int | None) -> Samples:
    """[N, channels] as [N], or as [N, A] for a model of A channels."""
    count = samples.shape[1]
    if channel == "mix":
        if audio_channels is None:
            return np.asarray(samples.mean(axis=1))
        if count not in (1, audio_channels):
            raise UserError(f"{path} has {count} channels, the model {audio_channels}: choose one with --channel, or bring it to as many")
        return np.repeat(samples, audio_channels // count, axis=1)
    if not channel.isdecimal() or not 1 <= int(channel) <= count:
        raise UserError(f"{path} has no channel '{channel}'. Choose one of: {', '.join([*map(str, range(1, count + 1)), 'mix'])}.")
    chosen: Samples = samples[:, int(channel) - 1]
    return chosen if audio_channels is None else np.repeat(chosen[:, None], audio_channels, axis=1)


def _fits_int16(samples: Samples) -> bool:
    codes = samples * 32768
    return bool(np.array_equal(codes, np.rint(codes)) and codes.min() >= -32768 and codes.max() <= 32767)


def _is_clipped(samples: Samples) -> bool:
    """Whether some samples in a row stand at the same end of the scale."""
    for full in (samples >= 1 - 2.0**-15, samples <= -1.0):
        run = full[: len(full) - _CLIPPED_RUN + 1].copy()
        for offset in range(1, _CLIPPED_RUN):
            run &= full[offset : offset + len(run)]
        if run.any():
            return True
    return False
