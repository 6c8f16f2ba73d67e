"""docs/how-to/add-a-target.md, followed from outside the package: one file, and every stage knows the new target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from pipeline.stages import dry_conversion, report
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import Stage
from validation.config import read_config

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-target.md"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The folder with what the guide says to write: the file that stands in it as YAML."""
    (block,) = (part.split("```")[0] for part in GUIDE.read_text().split("```yaml\n")[1:])
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "my-target.yaml").write_text(block)
    return folder


def deployment(target: str) -> Deployment:
    return Deployment(Choice.of("convtasnet", target, "quick", "", "", ""))


def stages(last: Stage) -> dict[str, Stage]:
    """A stage and all before it, by name."""
    return {last.name: last, **{name: stage for parent in last.parents.values() for name, stage in stages(parent).items()}}


def test_one_file_adds_a_target(written: Path) -> None:
    assert [path.name for path in written.iterdir()] == ["my-target.yaml"]
    mine, base = load_target(str(written / "my-target.yaml")), load_target("tflite-int8")
    ours, theirs = deployment(str(written / "my-target.yaml")), deployment("tflite-int8")

    assert ours.tflite is not None and theirs.tflite is not None
    assert set(ours.tflite.settings["allowed_ops"]) == set(base.allowed_ops) - {"DYNAMIC_UPDATE_SLICE", "LESS", "WHILE"}
    assert ours.quantized == theirs.quantized  # the same norms: nothing is trained anew
    assert ours.report.settings["target"] == mine.model_dump(mode="json")
    assert set(stages(ours.report)) - set(stages(theirs.report)) == {"convtasnet/report-my-target-quick"}


def test_the_new_target_takes_one_network_and_refuses_another(written: Path, tmp_path: Path) -> None:
    def convert(model: str) -> None:
        target = str(written / "my-target.yaml")
        stage = Deployment(Choice.of(model, target, "quick", "", "", "")).dry_conversion
        dry_conversion.run(tmp_path, {**stage.settings, "spec": {**stage.settings["spec"], "segment_samples": 4000}}, stage.files)

    convert("convtasnet")
    with pytest.raises(UserError, match=r"the target my-target cannot take the network of dptnet: .*lstm"):
        convert("dptnet")


def test_the_judge_reads_the_target_as_it_was_when_the_report_was_asked_for(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """judge.json beside its target, whatever becomes of the user's file meanwhile."""
    file = written / "my-target.yaml"
    mine, settings = load_target(str(file)), deployment(str(file)).report.settings
    file.unlink()
    folder = tmp_path / "report-stage"
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "parity.json").touch()
    monkeypatch.setattr(report, "run_child", lambda _: type("Done", (), {"returncode": 0}))
    report.run(folder, settings, {name: tmp_path / name for name in ("evaluation", "float", "onnx", "tflite", "fake")})
    config = read_config(folder / "judge.json")
    assert load_target(config.target) == mine
    assert config.subject == "litert-xnnpack"
    assert [stage.name for stage in config.stages] == ["float", "fake-quantized", "onnxruntime", "litert-xnnpack"]
    assert json.loads((folder / "judge.json").read_text())["reproduce"].endswith(f"TARGET={file} PROFILE=quick DATA=embedded")
