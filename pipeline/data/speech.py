"""What every data set comes down to: utterances by split, and what may be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.split import Split

MIN_SECONDS = 2.0

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
