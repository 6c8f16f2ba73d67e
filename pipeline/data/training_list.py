"""A data set put together from others, with weights and augmentations, as a YAML file: ``DATA=mix.yaml``.

    name: people-and-voices
    parts:
      - {data: folder:people/train, weight: 3, test: none}
      - {data: debian-voices, unseen: [fillets-cs-v]}
      - {data: embedded, weight: 0.5}
    augmentation:
      noise: {share: 0.3, snr_db: [15, 40]}

What is trained on and what is tested on follows from each part (``pipeline.data.split``), unless the list says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from export_specs.foundation.errors import UserError
from export_specs.inheritance import read_yaml
from export_specs.strict import Strict, validated
from pipeline.data.audio_files import audio_files
from pipeline.data.augmentation import Augmentation
from pipeline.data.speech import Speech, TrainingSpeech, Utterance, data_digest
from pipeline.data.split import Split


class Part(Strict):
    """One data set of a list."""

    data: str = Field(description="as DATA names it; a folder relative to the list's own")
    name: str = Field(default="", description="of its speakers in this list; by default what the data set is called")
    weight: float = Field(default=1.0, gt=0, description="how often a source is of this part, in proportion")
    unseen: tuple[str, ...] = Field(default=(), description="speakers never trained on: those that the test of unseen voices is made of")
    test: Literal["split", "none"] = Field(default="split", description="none: all but the unseen speakers are for training")

    @property
    def label(self) -> str:
        """What its speakers' names begin with."""
        return self.name or Path(self.data.rpartition(":")[2]).name


class TrainingList(Strict):
    """The parts, and what is done to the examples drawn from them."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str = ""
    parts: tuple[Part, ...] = Field(min_length=1)
    augmentation: Augmentation = Augmentation()

    @field_validator("parts")
    @classmethod
    def _labels_differ(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        labels = [part.label for part in parts]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two parts are called {', '.join(twice)}: give each a name of its own")
        return parts


def read_training_list(path: Path) -> TrainingList:
    """The list of a YAML file, its folders as seen from here.

    Raises:
        UserError: it cannot be read, or breaks the schema; for an unknown key the right ones are told.
    """
    wanted = validated(path, read_yaml(path), TrainingList)
    changed: dict[str, object] = {"parts": tuple(_from_here(part, path.parent) for part in wanted.parts)}
    noise = wanted.augmentation.noise
    if noise is not None and noise.recorded:
        here = noise.model_copy(update={"recorded": str(path.parent / noise.recorded)})
        changed["augmentation"] = wanted.augmentation.model_copy(update={"noise": here})
    return wanted.model_copy(update=changed)


def _from_here(part: Part, folder: Path) -> Part:
    kind, colon, name = part.data.partition(":")
    return part.model_copy(update={"data": f"{kind}:{folder / name}", "name": part.label}) if colon and name else part


def adapted(part: Part, speech: Speech) -> Speech:
    """The data set of a part with the speakers named after it and its utterances where the part wants them.

    Raises:
        UserError: ``unseen`` names a speaker that is not there; those that are there are listed.
    """
    speakers = sorted({speaker for utterances in speech.utterances.values() for speaker, _ in utterances})
    missing = sorted(set(part.unseen) - set(speakers))
    if missing:
        shown = ", ".join(speakers[:20]) + (f" and {len(speakers) - 20} more" if len(speakers) > 20 else "")
        raise UserError(f"{part.data} has no speaker {', '.join(missing)}; it has {shown}")
    utterances: dict[Split, list[Utterance]] = {split: [] for split in Split}
    for split, found in speech.utterances.items():
        for speaker, path in found:
            of_part = Split.TRAIN if part.test == "none" and split is not Split.DEV else split
            utterances[Split.TEST_UNSEEN if speaker in part.unseen else of_part].append((f"{part.label}/{speaker}", path))
    return replace(speech, utterances=utterances, published={}, subset=None, noise=())


def joined(wanted: TrainingList, parts: Sequence[Speech]) -> Speech:
    """The adapted parts as one data set, for evaluation sets too: synthetic only if all of it is."""
    return Speech(
        name=wanted.name,
        synthetic=all(speech.synthetic for speech in parts),
        licence="; ".join(dict.fromkeys(f"{part.label}: {speech.licence}" for part, speech in zip(wanted.parts, parts, strict=True))),
        description=wanted.description or "; ".join(speech.description for speech in parts),
        utterances={split: [utterance for speech in parts for utterance in speech.utterances[split]] for split in Split},
    )


def training_speech(wanted: TrainingList, parts: Sequence[Speech]) -> TrainingSpeech:
    """What training draws: a part as often as its weight says, and within it every utterance alike.

    Raises:
        UserError: a part has nothing to train on, or there is no noise where it should be.
    """
    utterances: list[Utterance] = []
    shares: list[float] = []
    for part, speech in zip(wanted.parts, parts, strict=True):
        found = speech.utterances[Split.TRAIN]
        if not found:
            raise UserError(f"{part.data} has nothing to train on; take it out of the list")
        utterances += found
        shares += [part.weight / len(found)] * len(found)
    everything = joined(wanted, parts)
    noise = _recordings(wanted.augmentation)
    places = {"parts": {"__all__": {"data"}}, "augmentation": {"noise": {"recorded"}}}
    settings = wanted.model_dump_json(exclude={"description": True, **places})
    return TrainingSpeech(utterances, shares, wanted.augmentation, data_digest(settings, everything.utterances, noise), noise)


def _recordings(augmentation: Augmentation) -> list[Path]:
    """The files of the noise that is wanted from recordings."""
    if augmentation.noise is None or not augmentation.noise.recorded:
        return []
    files = audio_files(Path(augmentation.noise.recorded))
    if not files:
        raise UserError(f"augmentation: noise: recorded: {augmentation.noise.recorded} holds no audio")
    return files
