"""Audio files of data sets: what counts as one, how long it is, and its samples. One rule for every data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from export_specs.foundation.audio_file import open_audio
from export_specs.foundation.errors import UserError

# RAW has no header, so that nobody could tell its rate
SUFFIXES = frozenset({f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".opus", ".oga", ".snd"}) - {".raw"}


def audio_files(folder: Path) -> list[Path]:
    """Files below ``folder``, at any depth, whose suffix (of any case) soundfile reads, in a stable order.

    Hidden files and what lies in hidden folders is no part of a data set: macOS leaves a ``._x.wav`` beside each ``x.wav``.
    """
    return [path for path in _visible(folder) if path.suffix.lower() in SUFFIXES]


def other_files(folder: Path) -> str:
    """What lies below a folder without being taken for audio, as "34 .m4a, 2 .raw"; "" if nothing does."""
    counts = Counter(path.suffix.lower() or "without suffix" for path in _visible(folder) if path.suffix.lower() not in SUFFIXES)
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(4))


def visible_folders(folder: Path) -> list[Path]:
    """The folders right in ``folder`` that are not hidden, in the order of their names; none where there is no such folder."""
    return sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))


def seconds_of(path: Path) -> float:
    """Length of an audio file by its header; 0 for one without a sample.

    Raises:
        UserError: not audio; the file is named.
    """
    with open_audio(path) as audio:
        frames = audio.frames if audio.frames is not None else sum(len(block) for block in audio.blocks())
        return frames / audio.rate


def read_audio(path: Path) -> tuple[NDArray[np.float32], int]:
    """All samples [N, channels] of an audio file, 1.0 as full scale, and its rate in Hz.

    Raises:
        UserError: not audio, empty, damaged, or holding NaN or infinity; the file is named.
    """
    with open_audio(path) as audio:
        blocks = [block.astype(np.float32) for block in audio.blocks()]
        if not blocks:
            raise UserError(f"{path} is empty; remove it from the data set")
        samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        raise UserError(f"{path} is not finite (NaN or infinity); remove it from the data set")
    return samples, audio.rate


def read_part(path: Path, start: int, samples: int) -> NDArray[np.float32]:
    """``samples`` samples from ``start`` on, [n, channels]; fewer at the end of the file.

    Raises:
        UserError: not audio, or damaged; the file is named.
    """
    try:
        found: NDArray[np.float32] = soundfile.read(path, samples, start, dtype="float32", always_2d=True)[0]
    except (soundfile.LibsndfileError, OSError) as error:
        seconds_of(path)  # which tells what is wrong with the file as a whole
        raise UserError(f"{path} is damaged after sample {start} ({error}); copy it again") from error
    return found


def _visible(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in found if path.is_file())
