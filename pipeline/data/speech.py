"""What every data set comes down to: utterances by split, and what may be said of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.augmentation import Augmentation
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
        noisy: mixtures of two speakers hold noise besides, the published ones and those that are trained on.
        noise: recordings of it, to train with.
        subset: name of the subset that items of the test splits belong to; None: ``seen`` and ``unseen`` apart.
    """

    name: str
    synthetic: bool
    licence: str
    description: str
    utterances: Mapping[Split, Sequence[Utterance]]
    published: Mapping[str, Path] = field(default_factory=dict)
    subset: str | None = None
    noisy: bool = False
    noise: Sequence[Path] = ()


@dataclass(frozen=True)
class TrainingSpeech:
    """What training examples of speech are drawn from.

    Attributes:
        shares: how often each utterance is drawn, in proportion; None: all alike.
        augmentation: what is done to examples, where they are augmented.
        digest: by which a model card names it; "" where it is not known.
        noise: recordings from which the augmentation's noise comes; none: it is made.
        published: folder of ready mixtures (a part of LibriMix), for those who train or watch a training with them.
        noisy: of which those with noise are meant.
    """

    utterances: Sequence[Utterance]
    shares: Sequence[float] | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    digest: str = ""
    noise: Sequence[Path] = ()
    published: Path | None = None
    noisy: bool = False

    @classmethod
    def of(cls, files: TrainingFiles) -> TrainingSpeech:
        """Plain utterances are drawn alike, at random speeds and levels."""
        return files if isinstance(files, TrainingSpeech) else cls(files)


TrainingFiles = TrainingSpeech | Sequence[Utterance]  # Utterance also is (name, folder) of a track of music


def data_digest(settings: str, utterances: Mapping[Split, Sequence[Utterance]], noise: Sequence[Path] = ()) -> str:
    """sha256 of the settings, of each utterance's split, speaker, file name and size in bytes, and of names and sizes of the noise.

    It is the same wherever the files lie.
    """
    found = [(str(split), speaker, path.name, path.stat().st_size) for split, part in utterances.items() for speaker, path in part]
    found += [("noise", "", path.name, path.stat().st_size) for path in noise]
    lines = sorted(f"{split} {speaker} {name} {size}" for split, speaker, name, size in found)
    return hashlib.sha256("\n".join([settings, *lines]).encode()).hexdigest()


def data_facts(files: TrainingFiles) -> dict[str, str]:
    """What a file of weights tells of the data it was trained on: the digest, where it is known."""
    return {"data_sha256": files.digest} if isinstance(files, TrainingSpeech) and files.digest else {}
