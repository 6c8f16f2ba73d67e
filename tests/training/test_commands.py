"""The commands of training beside a deployment: the float training by itself, and the time of a step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.training import __main__ as training
from pipeline.training import step_time
from pipeline.training.step_time import ratios_to_float
from tests.tiny import tiny_spec, write_speech
from tests.training.runs import curve


@pytest.fixture
def spec_file(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_spec(steps=4, epoch_steps=2).model_dump(mode="json")))
    return str(path)


def test_a_network_is_trained_on_a_folder(spec_file: str, tmp_path: Path) -> None:
    write_speech(tmp_path / "speech", speakers=8, utterances=8, seconds=3)
    arguments = ["--out", str(tmp_path / "out"), "--model", spec_file, "--data", f"folder:{tmp_path / 'speech'}"]
    done = CliRunner().invoke(training.app, arguments)
    assert done.exit_code == 0, done.exception
    assert (tmp_path / "out" / "float.safetensors").is_file()
    assert [row["step"] for row in curve(tmp_path / "out")] == ["2", "4"]


def asked_of_training(monkeypatch: pytest.MonkeyPatch, spec_file: str, *options: str) -> dict[str, object]:
    """What the training is asked for, instead of training."""
    asked: dict[str, object] = {}

    def train(*arguments: object) -> None:
        asked.update(zip(("spec", "train", "dev", "out", "workers", "start"), arguments, strict=True))

    monkeypatch.setattr(training, "train_teacher", train)
    monkeypatch.setattr(training, "training_files", lambda data, rate, task: ((data, rate, task), "dev"))
    done = CliRunner().invoke(training.app, ["--out", "o", "--model", spec_file, *options], catch_exceptions=False)
    assert done.exit_code == 0
    return asked


def test_the_options_are_those_of_the_training(spec_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of_training(monkeypatch, spec_file)
    assert asked["spec"] == tiny_spec(steps=4, epoch_steps=2)
    assert asked["train"] == ("embedded", 8000, "separation") and asked["dev"] == "dev"
    assert (asked["out"], asked["workers"], asked["start"]) == (Path("o"), 0, None)
    asked = asked_of_training(monkeypatch, spec_file, "--start", "w.safetensors", "--workers", "3")
    assert (asked["workers"], asked["start"]) == (3, Path("w.safetensors"))


def test_a_step_of_each_kind_is_timed_beside_the_float_one(spec_file: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(step_time.app, ["--model", spec_file, "--steps", "3", "--out", str(tmp_path / "t.json")])
    assert done.exit_code == 0, done.exception
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["seconds"].keys() == found["ratio_to_float"].keys() == {"float", "vanilla", "fqss"}
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert found["ratio_to_float"]["float"] == {"lower": 1.0, "median": 1.0, "upper": 1.0}
    assert "medians of 3 taken in turns" in done.output


def test_steps_are_compared_turn_by_turn() -> None:
    """A machine that is slow for a turn is slow for all kinds."""
    found = ratios_to_float({"float": [1.0, 10.0, 2.0], "fqss": [2.0, 10.0, 6.0]})
    assert found == {"float": (1.0, 1.0, 1.0), "fqss": (1.5, 2.0, 2.5)}
