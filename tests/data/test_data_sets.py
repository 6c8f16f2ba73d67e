"""DATA: names, layouts and what bad ones get. LibriMix and Debian's packages are tiny imitations made here."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export_specs.foundation.errors import UserError
from pipeline.data import debian_voices
from pipeline.data.sources import open_speech, training_files
from pipeline.data.speech import TrainingSpeech
from pipeline.data.split import Split
from pipeline.data.utterances import Utterances


def write_speech(path: Path, seed: int, seconds: float = 2.1, rate: int = 8000, **options: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).standard_normal(int(seconds * rate)) * 0.05, rate, **options)


def write_folder(root: Path, speakers: int = 12, utterances: int = 14) -> None:
    for speaker in range(speakers):
        for utterance in range(utterances):
            write_speech(root / f"sp{speaker}" / f"{utterance}.wav", speaker * 100 + utterance)


@pytest.mark.parametrize("name", ["embeded", "", "folder", "folder:", "librimix", "debian-voices:x"])
def test_unknown_name_lists_the_right_ones(name: str) -> None:
    with pytest.raises(UserError, match=r"LIST\.yaml, debian-voices, embedded, folder:DIR, librimix-both:DIR, librimix:DIR"):
        open_speech(name, 8000)


@pytest.mark.parametrize("kind", ["folder", "librimix"])
def test_missing_and_empty_folders(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        open_speech(f"{kind}:{tmp_path / 'nowhere'}", 8000)
    with pytest.raises(UserError, match=r"holds no speech|not in the layout of LibriMix"):
        open_speech(f"{kind}:{tmp_path}", 8000)


def test_folder_of_any_format_and_rate(tmp_path: Path) -> None:
    write_speech(tmp_path / "a" / "x.ogg", 1, rate=22050)
    write_speech(tmp_path / "a" / "deeper" / "x.flac", 2, rate=16000, subtype="PCM_24")
    write_speech(tmp_path / "b" / "x.WAV", 3, rate=44100, subtype="FLOAT")
    write_speech(tmp_path / "b" / "short.wav", 4, seconds=1.9)
    (tmp_path / "b" / "notes.txt").write_text("not audio")
    (tmp_path / "b" / "._x.wav").write_text("a hidden file")
    speech = open_speech(f"folder:{tmp_path}", 8000)
    found = [utterance for part in speech.utterances.values() for utterance in part]
    assert sorted((speaker, path.name) for speaker, path in found) == [("a", "x.flac"), ("a", "x.ogg"), ("b", "x.WAV")]
    utterances = Utterances(found, 8000)
    assert {len(utterances.waveform(index)) for index in range(len(found))} <= {16799, 16800, 16801}
    assert not speech.synthetic


def test_folder_keeps_unseen_voices_apart(tmp_path: Path) -> None:
    write_folder(tmp_path, speakers=20, utterances=4)
    speech = open_speech(f"folder:{tmp_path}", 8000)
    speakers = {split: {speaker for speaker, _ in part} for split, part in speech.utterances.items()}
    unseen = speakers.pop(Split.TEST_UNSEEN)
    assert unseen and not unseen & set.union(*speakers.values())


@pytest.mark.parametrize(("content", "message"), [("text", "not audio"), ("empty", "is empty"), ("nan", "NaN"), ("silent", "is silent")])
def test_bad_file_is_named(content: str, message: str, tmp_path: Path) -> None:
    write_speech(tmp_path / "a" / "good.wav", 0)
    write_speech(tmp_path / "b" / "good.wav", 0)
    bad = tmp_path / "a" / "bad.wav"
    if content == "text":
        bad.write_text("this is no audio")
    else:
        samples = {"empty": np.zeros(0), "nan": np.full(20000, np.nan), "silent": np.zeros(20000)}[content]
        soundfile.write(bad, samples, 8000, subtype="FLOAT")
    with pytest.raises(UserError, match=rf"bad\.wav.*{message}"):
        Utterances([item for part in open_speech(f"folder:{tmp_path}", 8000).utterances.values() for item in part], 8000)


def test_training_needs_two_speakers(tmp_path: Path) -> None:
    write_speech(tmp_path / "only" / "x.wav", 0)
    with pytest.raises(UserError, match="needs two"):
        training_files(f"folder:{tmp_path}", 8000)


def write_librimix(root: Path, rate: int = 8000, off: int = 0) -> None:
    """Codes as LibriMix writes them: the mixture is rounded on its own, and so off by a code here and there."""
    random = np.random.default_rng(0)
    for number, part in enumerate(("train-360", "dev", "test")):
        for k in range(3):
            name = f"{100 + 10 * number + k}-1-000{k}_{200 + 10 * number + k}-2-000{k}.wav"
            first, second, noise = (random.standard_normal(rate * 2) * 0.05 for _ in range(3))
            files = {"s1": first, "s2": second, "noise": noise, "mix_clean": first + second + off / 32768, "mix_single": first + noise}
            files["mix_both"] = first + second + noise + off / 32768
            for folder, samples in files.items():
                (root / part / folder).mkdir(parents=True, exist_ok=True)
                soundfile.write(root / part / folder / name, samples, rate)


@pytest.mark.parametrize("place", ["", "min", "wav8k/min", "Libri2Mix/wav8k/min"])
def test_librimix_layout(place: str, tmp_path: Path) -> None:
    write_librimix(tmp_path / place)
    speech = open_speech(f"librimix:{tmp_path}", 8000)
    train, dev = training_files(f"librimix:{tmp_path}", 8000)
    assert isinstance(train, TrainingSpeech)
    assert [(speaker, path.parent.name) for speaker, path in train.utterances] == [
        *((str(100 + k), "s1") for k in range(3)),
        *((str(200 + k), "s2") for k in range(3)),
    ]
    assert isinstance(dev, TrainingSpeech) and (train.noise, train.augmentation.noise) == ((), None)
    assert len(dev.utterances) == 6 and all(path.parts[-3] == "dev" for _, path in dev.utterances)
    assert {path.parts[-3] for _, path in speech.utterances[Split.TEST_UNSEEN]} == {"test"}


def test_librimix_of_the_models_rate_is_preferred(tmp_path: Path) -> None:
    for rate in (8000, 16000):
        write_librimix(tmp_path / f"wav{rate // 1000}k" / "min", rate)
    for rate in (8000, 16000):
        assert f"wav{rate // 1000}k" in str(open_speech(f"librimix:{tmp_path}", rate).published["test"])


def test_librimix_with_a_strange_name_or_without_a_part(tmp_path: Path) -> None:
    write_librimix(tmp_path)
    (tmp_path / "dev" / "s2" / "x.wav").write_bytes((tmp_path / "dev" / "s2" / "110-1-0000_210-2-0000.wav").read_bytes())
    with pytest.raises(UserError, match=r"x\.wav: a Libri2Mix file is named like"):
        open_speech(f"librimix:{tmp_path}", 8000)
    (tmp_path / "train-360").rename(tmp_path / "other")
    with pytest.raises(UserError, match="no training part"):
        open_speech(f"librimix:{tmp_path}", 8000)


def fake_packages(cache: Path) -> None:
    """The packages' folders, a few files each."""
    for voice in debian_voices.VOICES:
        folder = cache / voice.package / voice.folder.replace("*", "en_X" if "/en_" in voice.folder else "x")
        for k in range(3):
            write_speech(folder / f"level{voice.tag or '-'}{k}.wav", k)
        write_speech(folder / "silence" / f"{voice.tag or '-'}10.wav", 5)
        write_speech(folder / f"short{voice.tag or '-'}x.wav", 6, seconds=1.0)
        soundfile.write(folder / f"none{voice.tag or '-'}x.wav", np.zeros(0), 8000)


def test_debian_voices(tmp_path: Path) -> None:
    fake_packages(tmp_path)
    speech = debian_voices.open_debian_voices(tmp_path)
    found = [utterance for part in speech.utterances.values() for utterance in part]
    assert len(found) == 3 * len(debian_voices.VOICES)
    assert len({speaker for speaker, _ in found}) == 9
    assert all("CC-BY" in text or "GPL-2" in text for text in speech.licence.split("; "))
    unseen = {speaker for speaker, _ in speech.utterances[Split.TEST_UNSEEN]}
    assert unseen == {"asterisk-maxim", "asterisk-paola"}
    assert not unseen & {speaker for split in (Split.TRAIN, Split.DEV, Split.TEST_SEEN) for speaker, _ in speech.utterances[split]}


def test_debian_voices_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="needs apt-get"):
        debian_voices.open_debian_voices(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_debian_voices_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("apt-get", "dpkg-deb"):
        script = tmp_path / "bin" / program
        script.parent.mkdir(exist_ok=True)
        script.write_text("#!/bin/sh\necho 'E: Temporary failure resolving' >&2\nexit 100\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(UserError, match=r"Temporary failure resolving.*apt-get update"):
        debian_voices.open_debian_voices(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
