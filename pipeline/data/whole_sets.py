"""Whole test sets as lists of their files: published mixtures as they are, pairs of their sources at other levels, whole tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES, Task
from pipeline.data.evaluation_set import pairs_of
from pipeline.data.music import AUDIO_CHANNELS, SUFFIXES, Music, stem_file
from pipeline.data.published import published_files, published_layout
from pipeline.data.sources import data_for, open_music, open_speech
from pipeline.data.speech import Speech
from pipeline.data.split import Split

AS_PUBLISHED = "as published"
PAIRS = 500  # of a data set without published mixtures
T = TypeVar("T")


def whole_set(data: str, task: Task, sample_rate: int, mixtures: int | None, levels: Sequence[float]) -> dict[str, Any]:
    """The list of a data set's test mixtures, in the form of the judge's ``WholeSet``; no audio is written.

    Published mixtures are taken as they are, and of separation once more at each level; of a data set without any, pairs of its test
    people at each level. Of music it is every test track, and levels do not matter.

    Args:
        data: as DATA names it; ``mixtures``: take so many (pairs, tracks), evenly spread; None takes all, or 500 random pairs.
        levels: dB of the first source over the second.

    Raises:
        UserError: the data set is of another task, has no test mixtures, or fewer than ``mixtures``.
    """
    name = data_for(task, data)
    if task == "music":
        return _of_music(open_music(name), sample_rate, mixtures)
    speech = open_speech(name, sample_rate)
    if "test" in speech.published:
        return _published(speech, task, sample_rate, mixtures, levels)
    if task != "separation":
        raise UserError(f"DATA={name} has no published mixtures of speech and noise; librimix:DIR has")
    if not levels:
        raise UserError(f"DATA={name} has no published mixtures: give levels for pairs of its people")
    return _facts(speech, sample_rate) | {"items": _pairs(speech, PAIRS if mixtures is None else mixtures, levels)}


def _published(speech: Speech, task: Task, sample_rate: int, mixtures: int | None, levels: Sequence[float]) -> dict[str, Any]:
    part = speech.published["test"]
    layout = published_layout(task, speech.noisy)
    files = _evenly(published_files(part, layout), mixtures, f"{part / layout.mixture}")
    items: list[dict[str, Any]] = []
    for file in files:
        sources = {"sources": [str((part / folder / file.name).resolve()) for folder in layout.sources]}
        noise = {"noise": str((part / layout.noise / file.name).resolve())} if layout.noise else {}
        items.append({"id": file.stem, "subset": AS_PUBLISHED, "mixture": str(file.resolve()), **sources, **noise})
        relevelled = levels if task == "separation" and not speech.noisy else []
        items += [{"id": f"{file.stem} at {db:g} dB", "subset": f"pairs at {db:g} dB", "snr_db": db, **sources} for db in relevelled]
    return _facts(speech, sample_rate) | {"items": items}


def _pairs(speech: Speech, count: int, levels: Sequence[float]) -> list[dict[str, Any]]:
    people = [utterance for split in (Split.TEST_SEEN, Split.TEST_UNSEEN) for utterance in speech.utterances[split]]
    pairs, items = pairs_of(people, np.random.default_rng(0)), []
    for number in range(count):
        (first, one), (second, other) = next(pairs)
        sources = {"sources": [str(one.resolve()), str(other.resolve())]}
        identity = f"{number:04d} {first} {second}"
        items += [{"id": f"{identity} at {db:g} dB", "subset": f"pairs at {db:g} dB", "snr_db": db, **sources} for db in levels]
    return items


def _of_music(music: Music, sample_rate: int, mixtures: int | None) -> dict[str, Any]:
    items = []
    for name, folder in _evenly(music.tracks[Split.TEST_UNSEEN], mixtures, f"the test tracks of {music.name}"):
        mixture = next((path for suffix in SUFFIXES if (path := folder / f"mixture{suffix}").is_file()), None)
        stems = [str(stem_file(folder, source).resolve()) for source in MUSIC_SOURCES]
        items.append({"id": name, "subset": "tracks", "sources": stems, **({} if mixture is None else {"mixture": str(mixture.resolve())})})
    return _facts(music, sample_rate) | {"items": items, "source_names": list(MUSIC_SOURCES), "audio_channels": AUDIO_CHANNELS}


def _facts(data: Speech | Music, sample_rate: int) -> dict[str, Any]:
    return {"name": data.name, "sample_rate": sample_rate, "description": data.description, "synthetic": data.synthetic}


def _evenly(found: Sequence[T], wanted: int | None, what: str) -> list[T]:
    if not found:
        raise UserError(f"{what}: there are none")
    if wanted is None:
        return list(found)
    if wanted > len(found):
        raise UserError(f"{what}: there are {len(found)}, {wanted} are wanted")
    return [found[index * len(found) // wanted] for index in range(wanted)]
