"""A target that names gates which do not exist is refused before anything else is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from pipeline.stages import target_gates
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment


def deployment(folder: Path, gates: object) -> Deployment:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "extends": "tflite-int8", "gates": gates}))
    return Deployment(Choice.of("convtasnet", str(path), "quick", "", "", ""))


def test_shipped_targets_change_nothing_and_are_not_asked() -> None:
    assert load_target("tflite-int8").gates == {}
    assert Deployment(Choice.of("convtasnet", "tflite-int8", "quick", "", "", "")).target_gates is None


def test_the_judge_checks_what_a_target_changes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stage = deployment(tmp_path, {"near": {"max_lsb": 2}}).target_gates
    assert stage is not None and stage.module == "pipeline.stages.target_gates"
    target_gates.run(tmp_path, stage.settings, {})
    assert json.loads((tmp_path / "gates.json").read_text()) == {"near": {"max_lsb": 2}}
    wrong = deployment(tmp_path, {"near": {"max_lbs": 2}}).target_gates
    assert wrong is not None
    with pytest.raises(UserError, match="the gates of the target mine are not valid"):
        target_gates.run(tmp_path, wrong.settings, {})
    assert "unknown setting 'max_lbs'. Choose one of: max_lsb, max_lsb_of_loops, max_share" in capfd.readouterr().err
