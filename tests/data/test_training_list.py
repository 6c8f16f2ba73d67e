"""Lists of data sets: who is trained on, how often, and what bad ones get. The sets are tiny imitations made here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from export_specs.foundation.errors import UserError
from pipeline.data.sources import EMBEDDED, open_speech, training_files
from pipeline.data.speech import TrainingSpeech
from pipeline.data.split import Split, split_of
from pipeline.data.utterances import Utterances
from pipeline.stages.data_choice import data_identity

RATE = 8000
PEOPLE, UTTERANCES = 10, 8


def write_people(root: Path) -> None:
    for person in range(PEOPLE):
        for utterance in range(UTTERANCES):
            path = root / f"p{person}" / f"{utterance}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(person * 100 + utterance).standard_normal(int(2.1 * RATE)) * 0.05, RATE)


def write_list(path: Path, *parts: dict[str, Any], **settings: Any) -> str:
    path.write_text(yaml.safe_dump({"name": "mix", "parts": list(parts), **settings}))
    return str(path)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    write_people(tmp_path / "people")
    return tmp_path


def test_parts_are_split_as_they_are_alone_and_named_after_the_part(people: Path) -> None:
    speech = open_speech(write_list(people / "mix.yaml", {"data": "folder:people"}, {"data": "embedded", "name": "tts"}), RATE)
    alone = open_speech(f"folder:{people / 'people'}", RATE), open_speech("embedded", RATE)
    for split in Split:
        expected = [
            (f"{label}/{speaker}", path)
            for label, one in zip(("people", "tts"), alone, strict=True)
            for speaker, path in one.utterances[split]
        ]
        assert [(speaker, path.resolve()) for speaker, path in speech.utterances[split]] == [
            (name, path.resolve()) for name, path in expected
        ]
    assert not speech.synthetic and "Kokoro" in speech.licence and "user" in speech.licence
    assert open_speech(write_list(people / "tts.yaml", {"data": "embedded"}), RATE).synthetic


def test_a_part_can_be_for_training_alone_but_for_its_unseen_speakers(people: Path) -> None:
    name = write_list(people / "mix.yaml", {"data": "folder:people", "test": "none", "unseen": ["p3", "p7"]})
    speech = open_speech(name, RATE)
    speakers = {split: {speaker for speaker, _ in found} for split, found in speech.utterances.items()}
    assert speakers[Split.TEST_UNSEEN] == {"people/p3", "people/p7"}
    assert speakers[Split.TEST_SEEN] == set()
    assert speakers[Split.TRAIN] == {f"people/p{k}" for k in range(PEOPLE)} - {"people/p3", "people/p7"}
    alone = {(f"p{k}", str(j)): split_of(f"p{k}", str(j)) for k in range(PEOPLE) for j in range(UTTERANCES)}
    watching = {
        (f"people/{speaker}", f"{name}.wav")
        for (speaker, name), split in alone.items()
        if split is Split.DEV and speaker not in ("p3", "p7")
    }
    assert {(speaker, path.name) for speaker, path in speech.utterances[Split.DEV]} == watching
    assert len(speech.utterances[Split.TEST_UNSEEN]) == 2 * UTTERANCES


def test_sources_come_from_the_parts_by_their_weights(people: Path) -> None:
    write_people(people / "few")
    for path in sorted((people / "few").glob("p[5-9]/*.wav")):
        path.unlink()
    parts = {"data": "folder:people", "weight": 1, "test": "none"}, {"data": "folder:few", "weight": 3, "test": "none"}
    training, _ = training_files(write_list(people / "mix.yaml", *parts), RATE)
    assert isinstance(training, TrainingSpeech)
    utterances, random = Utterances(training.utterances, RATE, training.shares), np.random.default_rng(0)
    drawn = Counter(str(utterances.speakers[utterances.draw(random)]) for _ in range(8000))
    shares = Counter()
    for speaker, count in drawn.items():
        shares[speaker.partition("/")[0]] += count / 8000
    assert shares["few"] == pytest.approx(0.75, abs=0.02)
    of_few = [speaker for speaker, _ in training.utterances if speaker.startswith("few/")]
    for speaker in set(of_few):  # within a part every utterance alike
        assert drawn[speaker] / 8000 == pytest.approx(0.75 * of_few.count(speaker) / len(of_few), abs=0.03)


KEYS = "there is no such key; the keys here are"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"augmentations": {}}, rf"augmentations: {KEYS} augmentation, description, name, parts"),
        ({"augmentation": {"nois": {}}}, rf"augmentation\.nois: {KEYS} clicks, colour, loudness_lufs, noise, offset, pauses, rooms, speed"),
        ({"augmentation": {"noise": {"share": 0.1, "snr": 1}}}, rf"augmentation\.noise\.snr: {KEYS} recorded, share, snr_db"),
        ({"augmentation": {"noise": {}}}, r"augmentation\.noise\.share: Field required"),
        ({"augmentation": {"speed": [1.2, 0.8]}}, r"augmentation\.speed: .*the least comes first"),
        ({"parts": []}, r"parts: .*at least 1"),
        ({"parts": [{"dta": "embedded"}]}, rf"parts\.0\.dta: {KEYS} data, name, test, unseen, weight"),
        ({"parts": [{"data": "embedded", "weight": 0}]}, r"parts\.0\.weight: .*greater than 0"),
        ({"parts": [{"data": "embedded"}, {"data": "folder:embedded"}]}, r"two parts are called embedded"),
        ({"parts": [{"data": "embeded"}]}, r"unknown data set of speech 'embeded'.*embedded"),
        ({"parts": [{"data": "mix.yaml"}]}, r"a part cannot be a list itself"),
        ({"parts": [{"data": "folder:nowhere"}]}, r"there is no folder .*nowhere"),
        ({"parts": [{"data": "embedded", "unseen": ["af_hart"]}]}, r"embedded has no speaker af_hart; it has af_alloy, .* more"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(yaml.safe_dump({"name": "mix", "parts": [{"data": "embedded"}], **changes}))
    with pytest.raises(UserError, match=reason):
        open_speech(str(path), RATE)


def test_a_part_without_training_utterances_is_refused(people: Path) -> None:
    everyone = [f"p{k}" for k in range(PEOPLE)]
    name = write_list(people / "mix.yaml", {"data": "embedded"}, {"data": "folder:people", "unseen": everyone})
    with pytest.raises(UserError, match="people has nothing to train on"):
        training_files(name, RATE)


def test_the_digest_is_that_of_the_content_wherever_it_lies(people: Path, tmp_path: Path) -> None:
    def digest(folder: Path, **settings: Any) -> str:
        training, _ = training_files(write_list(folder / "mix.yaml", {"data": "folder:people"}, **settings), RATE)
        assert isinstance(training, TrainingSpeech)
        return training.digest

    elsewhere = tmp_path / "deeper" / "elsewhere"
    write_people(elsewhere / "people")
    assert digest(people) == digest(elsewhere) == digest(elsewhere, description="in other words")
    assert digest(people) != digest(people, augmentation={"noise": {"share": 0.1}})
    before = digest(people)
    soundfile.write(people / "people" / "p0" / "0.wav", np.ones(3 * RATE) * 0.1, RATE)
    assert digest(people) != before


def test_stages_are_done_again_when_a_setting_or_a_file_changes(people: Path) -> None:
    path = people / "mix.yaml"
    first = data_identity(write_list(path, {"data": "folder:people"}, {"data": "embedded"}))
    assert data_identity(write_list(path, {"data": "folder:people"}, {"data": "embedded"})) == first
    heavier = data_identity(write_list(path, {"data": "folder:people", "weight": 2}, {"data": "embedded"}))
    write_list(path, {"data": "folder:people"}, {"data": "embedded"})
    soundfile.write(people / "people" / "p0" / "new.wav", np.ones(3 * RATE) * 0.1, RATE)
    assert len({first, heavier, data_identity(str(path))}) == 3


def test_the_embedded_voices_are_where_the_list_finds_them() -> None:
    """A named set is not looked for beside the list."""
    assert {path.parents[1] for _, path in open_speech("embedded", RATE).utterances[Split.TRAIN]} == {EMBEDDED / "voices"}
