import ast
import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from export_specs.foundation.code_version import library_versions
from export_specs.load import target_names
from pipeline.stages import deployment as deployments
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import Stage

MODEL = Path(__file__).parents[2] / "export_specs" / "models" / "convtasnet.yaml"
CAUSAL = MODEL.with_name("convtasnet-causal.yaml")


def deployment(target: str = "tflite-int8", profile: str = "quick", spec: str = "", checkpoint: str = "") -> Deployment:
    return Deployment(Choice.of("convtasnet", target, profile, "embedded", checkpoint, spec))


def ancestors(stage: Stage) -> set[str]:
    return {stage.module, *(name for parent in stage.parents.values() for name in ancestors(parent))}


def test_float_target_needs_no_quantized_training() -> None:
    found = ancestors(deployment("tflite-float32").report)
    assert "pipeline.stages.onnx2tf_conversion" in found
    assert "pipeline.stages.quantized_weights" not in found


def test_stages_depend_on_the_libraries_that_they_run_with() -> None:
    """The judge runs in a process of its own: the stage of the report depends on the runtimes all the same."""
    target = deployment()
    found = {
        name: set(library_versions(stage.module, *stage.code))
        for name, stage in {"report": target.report, "tflite": target.tflite, "onnx": target.onnx, "data": target.evaluation}.items()
        if stage is not None
    }
    assert {"ai-edge-litert", "tflite_micro", "onnxruntime", "onnx", "numpy", "scipy", "pystoi"} <= found["report"]
    assert {"torch", "onnx"} <= found["onnx"]
    assert "ai-edge-litert" in found["tflite"] and "torch" not in found["tflite"]
    assert not {"torch", "ai-edge-litert", "onnxruntime"} & found["data"]


def test_what_onnx2tf_makes_depends_on_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def stages(version: str) -> list[Stage]:
        monkeypatch.setattr(deployments, "installed_versions", lambda _: {"onnx2tf": version})
        target = deployment("tflite-int8-ptq")
        return [stage for stage in (target.tflite, target.dry_conversion) if stage is not None]

    before, after = stages("1.29"), stages("2.0")
    assert [stage.settings["environment"] for stage in after] == [{"onnx2tf": "2.0"}] * 2
    assert [replace(new, settings=old.settings) for old, new in zip(before, after, strict=True)] == before
    assert "environment" not in (deployment().tflite or after[0]).settings


def test_onnx_target_is_not_converted() -> None:
    assert "pipeline.stages.conversion" not in ancestors(deployment("onnx-qdq").report)


def test_full_report_shows_the_baselines_beside() -> None:
    parents = deployment(profile="full").report.parents
    assert {"beside-ptq", "beside-vanilla", "beside-onnx2tf"} <= set(parents)


@pytest.mark.parametrize(
    ("keys", "value", "redoes_qat"),
    [
        (("training", "steps"), 7, False),
        (("description",), "another", False),
        (("streaming", "hop_frames"), 8, False),
        (("profiles", "full", "steps"), 7, False),
        (("profiles", "quick", "steps"), 7, True),
        (("training", "seed"), 7, True),
        (("network", "hid_chan"), 96, True),
    ],
)
def test_quantized_training_depends_on_what_it_reads_alone(tmp_path: Path, keys: tuple[str, ...], value: object, redoes_qat: bool) -> None:
    content = yaml.safe_load(CAUSAL.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(content))
    before, after = (deployment(spec=str(path)).quantized for path in (CAUSAL, changed))
    assert before is not None and after is not None
    assert (before.settings != after.settings) is redoes_qat


def test_committed_weights_do_not_serve_another_network(tmp_path: Path) -> None:
    content = yaml.safe_load(MODEL.read_text())
    content["network"]["hid_chan"] = 96
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(content))
    assert deployment(spec=str(changed)).teacher.parents["training"].module == "pipeline.stages.trained_teacher"


def test_a_method_of_ones_own_is_the_recipe_and_what_ships_does_not_serve_it(tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump({**yaml.safe_load(MODEL.read_text()), "method": {"kd_lambda": 0.5}}))
    own, ours = deployment(profile="full", spec=str(changed)), deployment(profile="full", spec=str(MODEL))
    assert own.quantized is not None and ours.quantized is not None and own.onnx is not None
    assert own.quantized.module == "pipeline.stages.quantized_weights"
    assert own.quantized.settings["recipe"]["changed"]["kd_lambda"] == own.onnx.settings["recipe"]["changed"]["kd_lambda"] == 0.5
    assert ours.quantized.module == "pipeline.stages.committed_weights"  # also the baseline's, which the method does not change
    assert own.report.parents["beside-vanilla"].parents["quantized"].module == "pipeline.stages.committed_weights"


def test_what_ships_is_neither_trained_nor_set_beside_what_must_be_made_first() -> None:
    shipped = Deployment(Choice.of("convtasnet", "tflite-int8", "", "", "", ""))
    stages = ancestors(shipped.report)
    assert "pipeline.stages.committed_weights" in stages
    assert not stages & {"pipeline.stages.quantized_weights", "pipeline.stages.trained_teacher", "pipeline.stages.onnx2tf_beside"}
    assert shipped.evaluation.settings["mixtures"] == 96
    assert shipped.report.settings["profile"] == "full"  # the limits of its gates
    assert shipped.quantized is not None
    assert shipped.quantized.files["weights"].read_bytes() == deployment(profile="full").quantized.files["weights"].read_bytes()


def test_what_ships_is_judged_on_any_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.stages.choice.data_identity", lambda _: "")
    monkeypatch.setattr("pipeline.stages.deployment.data_identity", lambda _: "")
    found = Deployment(Choice.of("convtasnet", "tflite-int8", "shipped", "debian-voices", "", ""))
    assert "pipeline.stages.quantized_weights" not in ancestors(found.report)
    assert found.evaluation.settings["data"]["name"] == "debian-voices"


def keys_read(module: str) -> set[str]:
    """The keys that a stage's module takes from its ``settings``, by its text."""
    found = importlib.util.find_spec(module)
    assert found is not None and found.origin is not None
    nodes = ast.walk(ast.parse(Path(found.origin).read_text()))
    taken = [node for node in nodes if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "settings"]
    return {node.slice.value for node in taken if isinstance(node.slice, ast.Constant)}


def all_stages(stage: Stage) -> list[Stage]:
    return [stage, *(found for parent in stage.parents.values() for found in all_stages(parent))]


@pytest.mark.parametrize("target", target_names())
def test_stages_are_given_what_their_modules_read(target: str) -> None:
    """Of every target that ships, with all baselines, and the training that shipped weights spare."""
    made = deployment(target, "full")
    goals = [made.report, made.trained_teacher(), made.dry_conversion, made.target_gates, made.package]
    for stage in [found for goal in goals if goal is not None for found in all_stages(goal)]:
        assert keys_read(stage.module) <= set(stage.settings), stage.name
        assert stage.name.startswith("convtasnet/")


@pytest.mark.parametrize(("target", "name"), [("tflite-int8-ptq", "onnx2tf-int8"), ("tflite-float32", "onnx2tf-float32")])
def test_files_of_onnx2tf_are_called_by_their_type(target: str, name: str) -> None:
    tflite = deployment(target).tflite
    assert tflite is not None and tflite.name == f"convtasnet/{name}"
    assert set(tflite.parents) == ({"float", "evaluation"} if name == "onnx2tf-int8" else {"float"})
