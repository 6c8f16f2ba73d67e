"""What every data set of music comes down to: tracks of four stems by split, and what may be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export_specs.foundation.audio_file import open_audio
from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES
from pipeline.data.audio_files import read_part
from pipeline.data.mixing import Waveform
from pipeline.data.split import Split

AUDIO_CHANNELS = 2
SUFFIXES = (".wav", ".flac", ".ogg")

Track = tuple[str, Path]


@dataclass(frozen=True)
class Music:
    """A data set.

    Attributes:
        name: as DATA gives it.
        synthetic: rendered, not recorded.
        licence: of the audio; ``description``: where it comes from.
        tracks: (name, folder of the stems) by split; no track is in two.
    """

    name: str
    synthetic: bool
    licence: str
    description: str
    tracks: Mapping[Split, Sequence[Track]]


def stem_file(folder: Path, name: str) -> Path:
    """The file of a stem, with whichever of SUFFIXES is there.

    Raises:
        UserError: none is.
    """
    for suffix in SUFFIXES:
        if (path := folder / f"{name}{suffix}").is_file():
            return path
    wanted = ", ".join(f"{stem}{SUFFIXES[0]}" for stem in MUSIC_SOURCES)
    raise UserError(f"{folder / name}{SUFFIXES[0]} is missing: a track is a folder with {wanted} (or {', '.join(SUFFIXES[1:])})")


def track_samples(folder: Path, sample_rate: int) -> int:
    """Length of a track in samples, after its four stems have been looked at.

    Raises:
        UserError: a stem is missing, no audio, of another rate, not stereo, or of another length than the others.
    """
    lengths = []
    for path in (stem_file(folder, name) for name in MUSIC_SOURCES):
        with open_audio(path) as audio:
            if (audio.rate, audio.channels) != (sample_rate, AUDIO_CHANNELS):
                raise UserError(f"{path} has {audio.rate} Hz and {audio.channels} channel(s); the model needs {sample_rate} Hz stereo")
            lengths.append(audio.frames or 0)
    if len(set(lengths)) > 1 or not lengths[0]:
        raise UserError(f"the stems of {folder} have {', '.join(map(str, lengths))} samples; they must be of one length")
    return int(lengths[0])


def read_stems(folder: Path, start: int, samples: int) -> Waveform:
    """A place of a track, [S, 2, samples] in the order of MUSIC_SOURCES, zeros after its end.

    Raises:
        UserError: a stem cannot be read or holds NaN or infinity.
    """
    stems = np.zeros((len(MUSIC_SOURCES), AUDIO_CHANNELS, samples), np.float32)
    for stem, name in zip(stems, MUSIC_SOURCES, strict=True):
        found = read_part(stem_file(folder, name), start, samples)
        stem[:, : len(found)] = found.T
    if not np.isfinite(stems).all():
        raise UserError(f"a stem of {folder} is not finite (NaN or infinity); remove the track from the data set")
    return stems
