"""Music: the layout of MUSDB18-HQ on a tiny tree made here, examples, evaluation sets, and songs for fluidsynth."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES
from pipeline.data import music_sets, rendered_stems
from pipeline.data.embedded_stems import STEMS, write_embedded_stems
from pipeline.data.evaluation_set import SetOptions
from pipeline.data.midi_songs import TICKS, Note, compose, midi_file
from pipeline.data.musdb18hq import VALIDATION_TRACKS, open_musdb18hq
from pipeline.data.music import read_stems, track_samples
from pipeline.data.music_examples import MusicExamples
from pipeline.data.music_sets import write_music_sets
from pipeline.data.sources import data_for, open_embedded, open_music, training_files
from pipeline.data.split import Split
from tests.tiny import write_tracks

RATE = 44100


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("musdb18hq")
    write_tracks(folder, ["train/A - a", f"train/{VALIDATION_TRACKS[3]}", "train/B - b", "test/C - c", "test/D - d"])
    return folder


def test_published_layout_and_split(tree: Path) -> None:
    music = open_music(f"musdb18hq:{tree}")
    names = {split: [name for name, _ in tracks] for split, tracks in music.tracks.items()}
    assert names[Split.TRAIN] == ["A - a", "B - b"]
    assert names[Split.DEV] == [VALIDATION_TRACKS[3]]
    assert names[Split.TEST_UNSEEN] == ["C - c", "D - d"]
    train, dev = training_files(f"musdb18hq:{tree}", RATE, "music")
    assert [path.parent.name for _, path in train + dev] == ["train"] * 3


def test_a_tree_without_the_published_validation_tracks_gets_some(tmp_path: Path) -> None:
    write_tracks(tmp_path, [f"train/{number}" for number in range(9)] + ["test/x"], seconds=0.01)
    tracks = open_musdb18hq(tmp_path).tracks
    assert [name for name, _ in tracks[Split.DEV]] == ["1", "8"]
    assert len(tracks[Split.TRAIN]) == 7


def test_other_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not in the layout of MUSDB18-HQ"):
        open_music(f"musdb18hq:{tmp_path}")
    with pytest.raises(UserError, match="there is no folder"):
        open_music(f"musdb18hq:{tmp_path / 'none'}")
    write_tracks(tmp_path, ["train/a"], seconds=0.01)
    files = [("a", tmp_path / "train" / "a")]
    with pytest.raises(UserError, match="the model needs 48000 Hz stereo"):
        MusicExamples(files, 48000, 100, 1, 0, False)
    (tmp_path / "train/a/bass.wav").unlink()
    with pytest.raises(UserError, match=r"bass\.wav is missing"):
        MusicExamples(files, RATE, 100, 1, 0, False)


def test_data_and_task_must_fit() -> None:
    assert (data_for("music", ""), data_for("separation", "")) == ("embedded-stems", "embedded")
    assert data_for("music", "musdb18hq:x") == "musdb18hq:x"
    with pytest.raises(UserError, match="embedded-stems, musdb18hq:DIR, rendered-stems"):
        data_for("music", "embedded")
    with pytest.raises(UserError, match="embedded"):
        data_for("enhancement", "rendered-stems")


@pytest.mark.parametrize("augment", [False, True])
def test_examples_are_stereo_sums_that_follow_from_their_index(tree: Path, augment: bool) -> None:
    files, _ = training_files(f"musdb18hq:{tree}", RATE, "music")
    examples, again = (MusicExamples(files, RATE, 1000, 5, 7, augment) for _ in range(2))
    for index in range(5):
        mixture, sources = examples[index]
        assert mixture.shape == (2, 1000)
        assert sources.shape == (4, 2, 1000)
        assert 0.5 <= float(mixture.abs().max()) < 1
        np.testing.assert_array_equal(sources.sum(0).numpy() * 32768, mixture.numpy() * 32768)
        np.testing.assert_array_equal((mixture * 32768).numpy() % 1, 0)
        assert all(np.array_equal(*pair) for pair in zip(examples[index], again[index], strict=True))
    assert not np.array_equal(examples[0][0], examples[1][0])


def test_evaluation_sets_are_exact_sums(tree: Path, tmp_path: Path) -> None:
    options = SetOptions(RATE, 4, task="music", calibration=3, max_seconds=0.1)
    assert write_music_sets(open_music(f"musdb18hq:{tree}"), tmp_path, options) == {
        "test": 4, "sweep": 6, "dev": 2, "calibration": 3, "tracks": 2,
    }  # fmt: skip
    for name in ("test", "sweep", "dev", "calibration", "tracks"):
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert (manifest["source_names"], manifest["audio_channels"]) == (list(MUSIC_SOURCES), 2)
        for item in manifest["items"]:
            mixture, *stems = (
                soundfile.read(tmp_path / name / file, dtype="int16")[0].astype(int) for file in (item["mixture"], *item["sources"])
            )
            whole = soundfile.info(tree / "test" / item["origin"] / "drums.wav").frames if name == "tracks" else 4410
            assert mixture.shape == (whole, 2)
            np.testing.assert_array_equal(sum(stems), mixture)
            if item["snr_db"] is not None:
                vocals, rest = (float(np.square(part).sum()) for part in (stems[3], sum(stems[:3])))
                assert abs(10 * np.log10(vocals / rest) - item["snr_db"]) < 0.05
    tracks = json.loads((tmp_path / "tracks" / "manifest.json").read_text())["items"]
    assert [item["origin"] for item in tracks] == ["C - c", "D - d"]
    sweep = json.loads((tmp_path / "sweep" / "manifest.json").read_text())["items"]
    assert [item["snr_db"] for item in sweep] == [-15, -15, -5, -5, 5, 5]


def test_whole_tracks_end_before_they_fill_the_memory_and_have_no_silent_stem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tracks(tmp_path, ["train/A", "train/B", "test/C", "test/D", "test/E", "test/F"], seconds=0.3)
    silent = tmp_path / "test" / "D" / "bass.wav"
    soundfile.write(silent, np.zeros((soundfile.info(silent).frames, 2)), RATE, "PCM_16")
    options = SetOptions(RATE, 1, task="music", calibration=1, max_seconds=0.1)
    for seconds, expected in ((10.0, ["C", "E", "F"]), (0.65, ["C", "E"]), (0.1, ["C"])):
        monkeypatch.setattr(music_sets, "TRACKS_SECONDS", seconds)
        write_music_sets(open_music(f"musdb18hq:{tmp_path}"), tmp_path / "out", options)
        tracks = json.loads((tmp_path / "out" / "tracks" / "manifest.json").read_text())["items"]
        assert [item["origin"] for item in tracks] == expected


def test_midi_files_say_what_the_notes_do() -> None:
    content = midi_file([Note(0.0, 1.0, 60, 100, 0), Note(2.0, 0.5, 62, 90, 0)], 120.0, {0: 33})
    assert content[:14] == b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    track = content[22:]
    assert struct.unpack(">I", content[18:22]) == (len(track),)
    tempo, program = b"\x00\xff\x51\x03\x07\xa1\x20", b"\x00\xc0\x21"  # 500,000 µs a quarter note
    first, second = b"\x00\x90\x3c\x64\x83\x60\x80\x3c\x00", b"\x83\x60\x90\x3e\x5a\x81\x70\x80\x3e\x00"  # 480 and 240 ticks
    assert track == tempo + program + first + second + b"\x00\xff\x2f\x00"


def test_songs_follow_from_the_seed() -> None:
    first, again, other = (compose(np.random.default_rng(seed), 6.0) for seed in (1, 1, 2))
    assert first.keys() == {"drums", "bass", "other"}
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_a_missing_tool_is_told_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install fluidsynth fluid-soundfont-gm"):
        rendered_stems.open_rendered_stems(open_embedded(), tmp_path / "cache", {"train": 2, "test": 1}, 2.0)
    assert not list((tmp_path / "cache").rglob("*.wav"))


@pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not rendered_stems.SOUNDFONT.is_file(), reason="fluidsynth or its soundfont is not installed"
)
def test_rendered_songs_are_music_in_the_layout(tmp_path: Path) -> None:
    music = rendered_stems.open_rendered_stems(open_embedded(), tmp_path, {"train": 2, "test": 1}, 2.0)
    assert music.synthetic
    assert "re-pitched speech" in music.description
    folder = music.tracks[Split.TRAIN][0][1]
    stems = [soundfile.read(folder / f"{name}.wav", dtype="int16")[0].astype(int) for name in (*MUSIC_SOURCES, "mixture")]
    assert stems[0].shape == (2 * RATE, 2)
    np.testing.assert_array_equal(sum(stems[:4]), stems[4])
    assert all(np.abs(stem).max() > 300 for stem in stems)
    rendered_stems.render_song(
        tmp_path / "again", np.random.default_rng((rendered_stems.SEED, 0, 0)), open_embedded().utterances[Split.TRAIN], 2.0
    )
    assert (tmp_path / "again" / "mixture.wav").read_bytes() == (folder.parent / "song-00" / "mixture.wav").read_bytes()


def test_the_embedded_songs_are_whole_and_small_and_no_voice_is_in_both_parts() -> None:
    music = open_music("embedded-stems")
    assert {split: len(tracks) for split, tracks in music.tracks.items()} == {
        Split.TRAIN: 6, Split.DEV: 1, Split.TEST_SEEN: 0, Split.TEST_UNSEEN: 8,
    }  # fmt: skip
    folders = [folder for tracks in music.tracks.values() for _, folder in tracks]
    assert {track_samples(folder, RATE) for folder in folders} == {16 * RATE}
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 12e6
    assert "MIT" in music.licence and "no singing" in music.description


def test_mixtures_of_the_embedded_songs_are_the_same_every_time(tmp_path: Path) -> None:
    options = SetOptions(RATE, 8, task="music", max_seconds=0.5, calibration=1)
    for name in ("first", "again"):
        write_music_sets(open_music("embedded-stems"), tmp_path / name, options)
    first, again = (sorted(path for path in (tmp_path / name / "test").iterdir()) for name in ("first", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again] and len(first) == 8 * 5 + 1


def test_stems_may_be_of_any_lossless_or_lossy_kind(tmp_path: Path) -> None:
    write_tracks(tmp_path, ["train/a"], seconds=0.1)
    folder = tmp_path / "train" / "a"
    wanted = read_stems(folder, 0, 4410)
    sound, rate = soundfile.read(folder / "bass.wav", dtype="int16")
    soundfile.write(folder / "bass.flac", sound, rate)
    (folder / "bass.wav").unlink()
    np.testing.assert_array_equal(read_stems(folder, 0, 4410), wanted)


@pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not rendered_stems.SOUNDFONT.is_file(), reason="fluidsynth or its soundfont is not installed"
)
@pytest.mark.slow
def test_the_embedded_songs_are_the_beginnings_of_rendered_ones(tmp_path: Path) -> None:
    write_embedded_stems(open_embedded(), tmp_path / "new", 2.0, {"train": 2, "test": 1})
    for place in ("train/song-01", "test/song-00"):
        ours, fresh = (soundfile.read(root / place / "other.ogg", frames=RATE)[0] for root in (STEMS, tmp_path / "new"))
        assert np.square(ours - fresh).mean() < 1e-3 * np.square(ours).mean(), place
