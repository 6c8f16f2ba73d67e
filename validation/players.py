"""The report's recordings: of each source players that are switched at one place in time, and spectrograms side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from matplotlib.figure import Figure

from export_specs.foundation.errors import UserError
from validation.parity import Clip

PLAYED = ("worst", "median")
WINDOW_SECONDS = 0.032
RANGE_DB = 80
FLOOR = 1e-6  # of full scale: what is silent throughout is drawn as such


@dataclass(frozen=True)
class Player:
    """One recording as a data URL."""

    title: str
    url: str


@dataclass(frozen=True)
class Switch:
    """What is compared at one place in time, and a picture of it: a PNG as a data URL."""

    players: list[Player]
    spectrograms: str


@dataclass(frozen=True)
class Heard:
    """A mixture: its own player, and a switch for each source."""

    item: str
    rank: str
    loss_db: float
    mixture: Player
    switches: list[Switch]


def heard(clips: Sequence[Clip], folder: Path) -> list[Heard]:
    """The worst mixtures and those around the median, from the recordings in ``folder``.

    Raises:
        UserError: a recording is missing.
    """
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.rank in PLAYED:
            found.setdefault(clip.item, []).append(clip)
    return [_heard(group, folder) for group in found.values()]


def _heard(group: Sequence[Clip], folder: Path) -> Heard:
    by_source: dict[int, list[Clip]] = {}
    for clip in group:
        if clip.source is not None:
            by_source.setdefault(clip.source, []).append(clip)
    mixture = next(clip for clip in group if clip.source is None)
    switches = [Switch([_player(clip, folder) for clip in parts], _spectrograms(parts, folder)) for parts in by_source.values()]
    return Heard(mixture.item, mixture.rank, mixture.loss_db, _player(mixture, folder), switches)


def _title(clip: Clip) -> str:
    return clip.kind if clip.source is None else f"{clip.kind} {clip.source + 1}"


def _player(clip: Clip, folder: Path) -> Player:
    return Player(_title(clip), f"data:audio/flac;base64,{base64.b64encode(_recording(clip, folder).read_bytes()).decode()}")


def _recording(clip: Clip, folder: Path) -> Path:
    path = folder / clip.path
    if not path.is_file():
        raise UserError(f"{path} is missing: parity.json needs the audio folder beside it")
    return path


def _spectrograms(clips: Sequence[Clip], folder: Path) -> str:
    figure = Figure(figsize=(9, 2), dpi=80, layout="constrained")
    panels = figure.subplots(1, len(clips), sharey=True, squeeze=False)[0]
    loudest = None
    for axes, clip in zip(panels, clips, strict=True):
        samples, rate = soundfile.read(_recording(clip, folder), always_2d=True)
        level = spectrogram(samples.mean(axis=1), rate)
        loudest = float(level.max()) if loudest is None else loudest  # of the first, so that the same colour is the same level in all
        extent = (0, len(samples) / rate, 0, rate / 2000)
        axes.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=loudest - RANGE_DB, vmax=loudest, cmap="magma")
        axes.set_title(_title(clip), fontsize=8)
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("kHz", fontsize=7)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def spectrogram(samples: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    """Level in dB [frequencies, frames] of samples [T], a sine of full scale at 0 dB: Hann windows of 32 ms, half overlapping."""
    size = 2 * round(WINDOW_SECONDS * rate / 2)
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    window = np.hanning(size + 1)[:-1]
    amplitudes = np.abs(np.fft.rfft(frames * window)) * 2 / window.sum()
    level: npt.NDArray[np.float64] = 20 * np.log10(np.maximum(amplitudes, FLOOR)).T
    return level
