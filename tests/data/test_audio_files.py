"""One rule for what counts as audio, kept by every data set, and the true reason for a file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES
from pipeline.data import debian_voices
from pipeline.data.audio_files import audio_files, read_audio, read_part, seconds_of
from pipeline.data.music import track_samples
from pipeline.data.published import published_layout, published_mixtures
from pipeline.data.sources import open_music, open_speech
from pipeline.data.split import Split
from tests.data.test_data_sets import fake_packages, write_folder, write_librimix
from tests.tiny import write_tracks

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 64044\n"


def leave_traces_of_macos(root: Path) -> None:
    """What Finder leaves on a foreign disk: a file of attributes beside each file, and one for each folder; and a folder of a notebook."""
    for path in list(root.rglob("*")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X")
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / ".ipynb_checkpoints" / "x.wav").write_text("hidden")


def files_of(parts: object) -> set[Path]:
    assert isinstance(parts, dict)
    return {path for part in parts.values() for _, path in part}


def test_hidden_files_belong_to_no_data_set(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", speakers=3, utterances=2)
    write_librimix(tmp_path / "librimix")
    fake_packages(tmp_path / "debian")
    write_tracks(tmp_path / "music", ["train/a", "train/b", "test/c"], seconds=0.01)
    opened = {
        "folder": lambda: open_speech(f"folder:{tmp_path / 'folder'}", 8000).utterances,
        "librimix": lambda: open_speech(f"librimix:{tmp_path / 'librimix'}", 8000).utterances,
        "debian": lambda: debian_voices.open_debian_voices(tmp_path / "debian").utterances,
        "music": lambda: open_music(f"musdb18hq:{tmp_path / 'music'}").tracks,
    }
    before = {name: files_of(dict(found())) for name, found in opened.items()}
    for name in opened:
        leave_traces_of_macos(tmp_path / name)
    assert {name: files_of(dict(found())) for name, found in opened.items()} == before
    assert all(before.values())
    layout = published_layout("separation", noisy=False)
    made = published_mixtures(tmp_path / "librimix" / "test", "unseen", layout, 8000, 9, None, np.random.default_rng(0))
    assert len(made) == 3


def test_suffixes_of_any_case_and_kind(tmp_path: Path) -> None:
    write_librimix(tmp_path)
    for path in tmp_path.rglob("*.wav"):
        path.rename(path.with_suffix(".WAV"))
    assert len(open_speech(f"librimix:{tmp_path}", 8000).utterances[Split.TRAIN]) == 6
    for name in ("a.raw", "b.m4a", "notes.txt"):
        (tmp_path / "speech" / "anna").mkdir(parents=True, exist_ok=True)
        (tmp_path / "speech" / "anna" / name).write_bytes(bytes(60000))
    assert audio_files(tmp_path / "speech") == []
    with pytest.raises(UserError, match=r"holds no speech.*there are 1 \.raw, 1 \.m4a, 1 \.txt, which are not read"):
        open_speech(f"folder:{tmp_path / 'speech'}", 8000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (POINTER.encode(), "a pointer of Git LFS, not the file of 64044 bytes"),
        (b"<!DOCTYPE html>\n<html><head>", "a web page"),
        (b"", "empty, of 0 bytes"),
        (b"\0\0\0 ftypM4A mp42", "an MP4 file.*ffmpeg"),
        (b"hello", "text"),
    ],
)
def test_what_a_file_is_instead_of_audio_is_told_by_every_reader(content: bytes, reason: str, tmp_path: Path) -> None:
    write_tracks(tmp_path, ["train/a"], seconds=0.01)
    bad = tmp_path / "train" / "a" / "bass.wav"
    bad.write_bytes(content)
    for read in (seconds_of, read_audio, lambda path: read_part(path, 0, 10), lambda path: track_samples(path.parent, 44100)):
        with pytest.raises(UserError, match=rf"bass\.wav is not audio.*{reason}"):
            read(bad)


def test_recordings_from_a_pipe_have_their_true_length(tmp_path: Path) -> None:
    """FLAC and WAV that a program wrote without knowing how much would come: no length in the header."""
    samples = np.random.default_rng(0).integers(-9000, 9000, 20000).astype(np.int16)
    for name in ("a.flac", "a.wav"):
        soundfile.write(tmp_path / name, samples, 8000)
    flac = bytearray((tmp_path / "a.flac").read_bytes())
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(flac)
    wav = bytearray((tmp_path / "a.wav").read_bytes())
    wav[4:8] = wav[40:44] = bytes(4)
    (tmp_path / "a.wav").write_bytes(wav)
    for name in ("a.flac", "a.wav"):
        assert seconds_of(tmp_path / name) == 2.5
        read, rate = read_audio(tmp_path / name)
        assert rate == 8000
        np.testing.assert_array_equal(read[:, 0] * 32768, samples)


def test_a_stem_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write_tracks(tmp_path, ["train/a"], seconds=1.0)
    for name in MUSIC_SOURCES:
        path = tmp_path / "train" / "a" / f"{name}.wav"
        soundfile.write(path.with_suffix(".flac"), *soundfile.read(path))
        content = path.with_suffix(".flac").read_bytes()
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"drums\.wav is damaged"):
        read_part(tmp_path / "train" / "a" / "drums.wav", 30000, 10000)
