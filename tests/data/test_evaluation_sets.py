"""Evaluation sets as the judge reads them: levels, SNR, sums, disjointness, determinism."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError
from pipeline.data.command import data_command
from pipeline.data.evaluation_set import SetOptions, _mixture, pairs_of, write_evaluation_sets
from pipeline.data.noise import COLOURS, coloured_noise
from pipeline.data.sources import open_embedded, open_speech
from pipeline.data.speech import Speech
from pipeline.data.split import Split
from tests.data.test_data_sets import write_librimix, write_speech
from validation.evaluation_set import read_evaluation_set

SETS = ("test", "sweep", "dev", "calibration")
SMALL = SetOptions(8000, mixtures=12, calibration=6, max_seconds=3.0)


@pytest.fixture(scope="module")
def separation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("separation")
    assert write_evaluation_sets(open_embedded(), folder, SMALL) == {"test": 12, "sweep": 12, "dev": 6, "calibration": 6}
    return folder


@pytest.fixture(scope="module")
def enhancement(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("enhancement")
    write_evaluation_sets(
        open_embedded(), folder, SetOptions(16000, 12, task="enhancement", calibration=6, max_seconds=3.0, snr_db=(5.0, 25.0))
    )
    return folder


def snr(item, folder: Path) -> float:
    """Level of the first source over all the rest, in float64."""
    first = item.sources[0].astype(np.float64)
    return float(10 * np.log10(np.sum(first**2) / np.sum((item.mixture - first) ** 2)))


def test_levels_are_librimix_levels(separation: Path) -> None:
    meter, levels = pyloudnorm.Meter(8000), []
    for name in ("test", "dev", "calibration"):
        for item in read_evaluation_set(separation / name).items:
            assert len(item.mixture) == 24000 and np.abs(item.mixture.astype(int)).max() <= 0.9 * 32768 + 1
            levels += [meter.integrated_loudness(source / 32768.0) for source in item.sources]
    assert min(levels) > -33.02 and max(levels) < -24.98
    assert max(levels) - min(levels) > 5


def test_sweep_has_every_snr_for_every_pair(separation: Path) -> None:
    data = read_evaluation_set(separation / "sweep")
    wanted = [item.snr_db for item in data.items]
    assert wanted == sorted(wanted) and {value: wanted.count(value) for value in wanted} == {-10.0: 4, 0.0: 4, 10.0: 4}
    for item in data.items:
        assert snr(item, separation) == pytest.approx(item.snr_db, abs=0.02)
    few = read_evaluation_set(separation / "sweep", 6)
    assert sorted({item.snr_db for item in few.items}) == [-10.0, 0.0, 10.0]


def test_subsets_and_speakers(separation: Path) -> None:
    parts = open_embedded().utterances
    seen, unseen = ({speaker for speaker, _ in parts[split]} for split in (Split.TEST_SEEN, Split.TEST_UNSEEN))
    items = json.loads((separation / "test" / "manifest.json").read_text())["items"]
    assert [item["subset"] for item in items] == ["seen"] * 6 + ["unseen"] * 6
    for item in items:
        assert len(set(item["speakers"])) == 2
        assert set(item["speakers"]) <= (seen if item["subset"] == "seen" else unseen)
    manifest = read_evaluation_set(separation / "test").manifest
    assert manifest.synthetic and "Apache-2.0" in manifest.licence


def test_same_seed_same_bytes(separation: Path, tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}

    write_evaluation_sets(open_embedded(), tmp_path / "again", SMALL)
    assert digests(tmp_path / "again") == digests(separation)
    write_evaluation_sets(open_embedded(), tmp_path / "other", SetOptions(8000, 12, seed=1, calibration=6, max_seconds=3.0))
    assert not set(digests(tmp_path / "other").values()) & set(digests(separation).values())


def test_enhancement_is_speech_and_noise(enhancement: Path) -> None:
    values = []
    for name in ("test", "dev", "calibration"):
        data = read_evaluation_set(enhancement / name)
        assert all(item.noise is not None and len(item.sources) == 1 for item in data.manifest.items)
        values += [snr(item, enhancement) for item in data.items]
    assert min(values) > 4.98 and max(values) < 25.02 and max(values) - min(values) > 10
    for item in read_evaluation_set(enhancement / "sweep").items:
        assert snr(item, enhancement) == pytest.approx(item.snr_db, abs=0.05)


@pytest.mark.parametrize("colour", COLOURS)
def test_slope_of_coloured_noise(colour: str) -> None:
    noise = coloured_noise(colour, 1 << 17, 8000, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [10 * np.log10(power[1 << k : 2 << k].mean()) for k in range(11, 16)]
    assert np.diff(octaves) == pytest.approx(np.full(4, {"white": 0, "pink": -3.01, "brown": -6.02}[colour]), abs=0.5)
    assert np.mean(noise.astype(np.float64) ** 2) == pytest.approx(1)


def test_pairs_use_every_utterance_about_equally() -> None:
    utterances = [(f"s{k % 4}", Path(f"{k}")) for k in range(12)]
    stream = pairs_of(utterances, np.random.default_rng(0))
    pairs = [next(stream) for _ in range(40)]
    assert all(first[0] != second[0] for first, second in pairs)
    assert len({frozenset(pair) for pair in pairs}) == 40
    uses = [sum(utterance in pair for pair in pairs) for utterance in utterances]
    assert max(uses) - min(uses) <= 3
    few = pairs_of(utterances[:2], np.random.default_rng(0))
    assert len([next(few) for _ in range(3)]) == 3
    with pytest.raises(UserError, match="two speakers"):
        next(pairs_of(utterances[::4], np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("kind", "task", "mix", "rate"),
    [
        ("librimix", "separation", "mix_clean", 8000),
        ("librimix", "enhancement", "mix_single", 8000),
        ("librimix", "separation", "mix_clean", 16000),
        ("librimix-both", "separation", "mix_both", 8000),
    ],
)
def test_published_mixtures_are_used_as_they_are(kind: str, task: str, mix: str, rate: int, tmp_path: Path) -> None:
    write_librimix(tmp_path / "mini", rate)
    speech = open_speech(f"{kind}:{tmp_path / 'mini'}", 8000)
    counts = write_evaluation_sets(speech, tmp_path / "sets", SetOptions(8000, 2, task=task, calibration=9))
    assert counts == {"test": 2, "sweep": 3, "dev": 1, "calibration": 3}
    for name in SETS:
        assert not read_evaluation_set(tmp_path / "sets" / name).manifest.synthetic
    data = read_evaluation_set(tmp_path / "sets" / "test")
    items = json.loads((data.folder / "manifest.json").read_text())["items"]
    for item, entry in zip(data.items, items, strict=True):
        assert entry["speakers"] == [code.split("-")[0] for code in entry["origin"].split("_")][: len(item.sources)]
        if rate == 8000:
            np.testing.assert_array_equal(item.mixture, soundfile.read(tmp_path / "mini/test" / mix / entry["origin"], dtype="int16")[0])
            np.testing.assert_array_equal(item.sources[0], soundfile.read(tmp_path / "mini/test/s1" / entry["origin"], dtype="int16")[0])
            assert ("noise" in entry) == (mix != "mix_clean")
            if mix == "mix_both":
                second = soundfile.read(tmp_path / "mini/test/s2" / entry["origin"], dtype="int16")[0]
                np.testing.assert_array_equal(item.sources[1], second)


def test_published_mixture_that_is_no_sum_is_refused(tmp_path: Path) -> None:
    write_librimix(tmp_path, off=9)
    with pytest.raises(UserError, match="not the sum of s1 and s2: off by up to"):
        write_evaluation_sets(open_speech(f"librimix:{tmp_path}", 8000), tmp_path / "sets", SMALL)


def speech_of(root: Path, names: dict[Split, list[str]]) -> Speech:
    for part in names.values():
        for k, name in enumerate(part):
            write_speech(root / f"{name}.wav", k)
    parts = {split: [(name.split("/")[0], root / f"{name}.wav") for name in names.get(split, [])] for split in Split}
    return Speech("folder", False, "none", "made up", parts)


def test_without_unseen_speakers_the_test_is_of_seen_ones(tmp_path: Path) -> None:
    names = ["a/1", "a/2", "b/1"]
    speech = speech_of(tmp_path, dict.fromkeys((Split.TRAIN, Split.DEV, Split.TEST_SEEN), names))
    write_evaluation_sets(speech, tmp_path / "sets", SMALL)
    assert {item.subset for item in read_evaluation_set(tmp_path / "sets" / "test").items} == {"seen"}
    with pytest.raises(UserError, match="no two speakers among its test utterances"):
        write_evaluation_sets(speech_of(tmp_path, {Split.TRAIN: names}), tmp_path / "more", SMALL)


def test_utterances_that_begin_with_silence(tmp_path: Path) -> None:
    speech = speech_of(tmp_path, {split: ["a/1", "b/1"] for split in (Split.TRAIN, Split.DEV, Split.TEST_SEEN)})
    samples = np.concatenate([np.zeros(12000), np.full(8000, 0.1)])
    soundfile.write(tmp_path / "a" / "1.wav", samples, 8000)
    with pytest.raises(UserError, match="begin with silence"):
        write_evaluation_sets(speech, tmp_path / "sets", SetOptions(8000, 2, calibration=2, max_seconds=1.0))


def test_nothing_else_is_overwritten_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is no evaluation set"):
        write_evaluation_sets(open_embedded(), tmp_path, SMALL)
    assert [path.name for path in tmp_path.rglob("*")] == ["test", "thesis.txt"]

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.data.set_folder.wave.open", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_evaluation_sets(open_embedded(), tmp_path / "new", SMALL)
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("wrong", [{"task": "singing"}, {"mixtures": 0}, {"max_seconds": 0.0}, {"max_seconds": float("nan")}])
def test_wrong_options(wrong: dict) -> None:
    with pytest.raises(UserError):
        SetOptions(**{"sample_rate": 8000, "mixtures": 4, **wrong})


def test_command(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(data_command)
    options = ["--out", str(tmp_path), "--n", "2", "--calibration", "2", "--max-seconds", "1", "--task", "enhancement"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert all((tmp_path / name / "manifest.json").is_file() for name in SETS)
    for _ in range(2):  # an older set is replaced
        CliRunner().invoke(app, [*options, "--seed", "3"])
    assert len(list((tmp_path / "test").glob("*.wav"))) == 6 and not list(tmp_path.glob(".*"))


def test_a_part_that_is_louder_than_the_mixture_does_not_wrap() -> None:
    """Where the noise cancels the speech, its peak can be above full scale while that of the sum is not."""
    speech, noise = np.array([-0.4, 0.1, 0.0], np.float32), np.array([1.1, -0.2, 0.3], np.float32)
    options = SetOptions(8000, 1, task="enhancement")
    made = _mixture("unseen", (("a", Path("a")), ("b", Path("b"))), (speech, noise), options, -10.0)
    assert made.noise is not None
    assert made.noise.max() == 32767
    np.testing.assert_allclose(made.sources[0] / made.noise, speech / noise, atol=1e-4)
