"""A whole study of tiny networks: trained, judged, told; and done again without training."""

from __future__ import annotations

import json
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from export_specs.foundation.errors import UserError
from pipeline.data.evaluation_set import SetOptions
from pipeline.stages import evaluation_data
from pipeline.stages.graph import StageRunner
from pipeline.study import __main__ as study
from pipeline.study import running
from pipeline.study.plan import Grid, Plan
from pipeline.training import qat, teacher
from tests.tiny import tiny_spec, write_speech
from validation.study.__main__ import main as judge

STUDY = """
{name: little, title: Little, description: 'Which is better?', kind: arms, steps: 2, seeds: 1, mixtures: 6, against: vanilla,
 arms: {further-float: {network: further-float}, vanilla: {variant: vanilla}}}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, a spec and a study; runs are made in this process."""
    for module in (teacher, qat):
        monkeypatch.setattr(module, "VALIDATION_MIXTURES", 2)
        monkeypatch.setattr(module, "compiler_available", lambda: False)
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 2)
    monkeypatch.setattr(evaluation_data, "SetOptions", partial(SetOptions, calibration=2))
    monkeypatch.chdir(tmp_path)
    write_speech(tmp_path / "speech", speakers=8, utterances=6, seconds=2)
    fields = tiny_spec().model_dump(mode="json") | {"segment_samples": 4000}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(fields))
    (tmp_path / "little.yaml").write_text(STUDY)
    monkeypatch.setattr(study, "make_runs", in_this_process)
    monkeypatch.setattr(study, "run_child", judged_here)
    return tmp_path


def in_this_process(grid: Grid, runs: list[tuple[str, int]], executor: Executor) -> None:
    plan, runner = Plan(grid), StageRunner(running.BUILD, lambda _: None)
    for run in runs:
        runner.run(plan.run_of(*run).stage)


class Done:
    returncode = 0


def judged_here(command: list[str], env: dict[str, str]) -> Done:
    assert command[1:3] == ["-m", "validation.study"]
    judge(Path(command[3]), Path(command[5]))
    return Done()


def run(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(study.app, ["little.yaml", "--spec", "tiny.yaml", "--data", "folder:speech", "--out", "pages", *arguments])
    assert done.exit_code == 0, done.output
    return json.loads(Path("pages", "little-tiny.json").read_text())


def test_a_study_from_data_to_page(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = run()
    groups = {group["label"]: group for group in told["groups"]}
    assert groups["all"]["n"] == 2 * (6 + 6) and groups["test"]["n"] == 12 and groups["-10 dB"]["n"] == 4
    assert [arm["arm"] for arm in groups["all"]["arms"]] == ["further-float", "vanilla"]
    for arm in groups["all"]["arms"]:
        assert arm["loss"]["mean"] == pytest.approx(arm["seed_losses"][0])
        assert (arm["gain"] is None) is (arm["arm"] == "vanilla")
    page = (place / "pages" / "little-tiny.md").read_text()
    assert "Budget of every arm: 2 steps of 2 × 0.1 s" in page and "1 seed(s)" in page
    assert "make study NAME=little.yaml SPEC=tiny.yaml DATA=folder:speech" in page
    assert (place / "pages" / "little-tiny.svg").read_text().startswith("<svg")

    monkeypatch.setattr(qat, "train_quantized", None)  # nothing is trained again
    assert run() == told


def test_runs_that_fail_are_named_and_the_others_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def child(command: list[str], env: dict[str, str]) -> Any:
        asked.append((json.loads(command[4]), env["OMP_NUM_THREADS"]))
        return type("Done", (), {"returncode": int("vanilla" in command[4])})

    monkeypatch.setattr(running, "run_child", child)
    with pytest.raises(UserError, match=r"1 of 3 runs failed.*vanilla \(seed 1\)"):
        running.make_runs(Grid(study="little.yaml"), [("fqss", 0), ("vanilla", 1), ("fqss", 1)], ThreadPoolExecutor(1))
    assert asked == [([["fqss", 0]], "1"), ([["vanilla", 1]], "1"), ([["fqss", 1]], "1")]


def test_a_worker_makes_its_runs_alone(place: Path) -> None:
    from pipeline.study.worker import app

    grid = Grid(study="little.yaml", spec="tiny.yaml", data="folder:speech")
    done = CliRunner().invoke(app, [grid.model_dump_json(), '[["vanilla", 0]]'])
    assert done.exit_code == 0, done.output
    made = [json.loads(path.read_text()) for path in place.glob("build/tiny/qat-*/stage.json")]
    assert [stage["depends_on"]["settings"]["recipe"]["variant"] for stage in made] == ["vanilla"]
