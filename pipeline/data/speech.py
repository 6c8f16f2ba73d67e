"""What every data set comes down to: utterances by split, and what may be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from export_specs.foundation.errors import UserError
from pipeline.data.split import Split

MIN_SECONDS = 2.0
AUDIO_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".opus", ".oga", ".snd"}

Utterance = tuple[str, Path]


@dataclass(frozen=True)
class Speech:
    """A data set.

    Attributes:
        name: as DATA gives it.
        synthetic: made by a text-to-speech model.
        licence: of the audio; ``description``: where it comes from.
        utterances: (speaker, path) by split; a speaker of ``Split.TEST_UNSEEN`` is in no other split.
        published: folders of ready mixtures (LibriMix) by evaluation set; they are used instead of mixtures of our own.
        subset: name of the subset that items of the test splits belong to; None: ``seen`` and ``unseen`` apart.
    """

    name: str
    synthetic: bool
    licence: str
    description: str
    utterances: Mapping[Split, Sequence[Utterance]]
    published: Mapping[str, Path] = field(default_factory=dict)
    subset: str | None = None


def audio_files(folder: Path) -> list[Path]:
    """Files below ``folder``, at any depth, whose suffix soundfile reads; hidden ones left out. In a stable order."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and not p.name.startswith(".") and p.is_file())


def seconds_of(path: Path) -> float:
    """Length of an audio file by its header; 0 for one without a sample.

    Raises:
        UserError: not audio; the file is named.
    """
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path} is not audio ({error}); remove it from the data set") from error
    return float(info.frames / info.samplerate)
