import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from export_specs.foundation.code_version import library_versions
from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from pipeline.networks.build import build_network
from pipeline.stages import deployment as deployments
from pipeline.stages import teacher_weights
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import Stage

MODEL = Path(__file__).parents[2] / "export_specs" / "models" / "convtasnet.yaml"
CAUSAL = MODEL.with_name("convtasnet-causal.yaml")


def deployment(target: str = "tflite-int8", profile: str = "quick", spec: str = "", checkpoint: str = "") -> Deployment:
    return Deployment(Choice.of("convtasnet", target, profile, "embedded", checkpoint, spec))


def ancestors(stage: Stage) -> set[str]:
    return {stage.module, *(name for parent in stage.parents.values() for name in ancestors(parent))}


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (("nope", "tflite-int8", "quick", "embedded", "", ""), "convtasnet, convtasnet-causal, convtasnet-denoise-16k, convtasnet-high"),
        (("convtasnet", "nope", "quick", "embedded", "", ""), "onnx-qdq, tflite-float32"),
        (("convtasnet", "tflite-int8", "fast", "embedded", "", ""), "full, ptq, quick"),
        (("convtasnet", "tflite-int8", "quick", "nope", "", ""), "librimix:DIR"),
        (("convtasnet", "tflite-int8", "quick", "folder:/nowhere", "", ""), "no folder /nowhere"),
        (("convtasnet", "tflite-int8", "quick", "embedded", "lost.pth", ""), "lost.pth does not exist.*SpeechBrain's folder"),
        (("convtasnet", "tflite-int8", "quick", "embedded", "", "lost.yaml"), "lost.yaml"),
    ],
)
def test_wrong_setting_lists_the_right_ones(arguments: tuple[str, ...], listed: str) -> None:
    with pytest.raises(UserError, match=listed):
        Choice.of(*arguments)


def test_the_command_chooses_the_same_again(tmp_path: Path) -> None:
    """A user's own spec, target and checkpoint are named by where they are, and not by the name that stands in them."""
    spec, target, checkpoint = tmp_path / "my spec.yaml", tmp_path / "board.yaml", tmp_path / "weights.safetensors"
    spec.write_text(MODEL.read_text().replace("name: convtasnet", "name: mine"))
    target.write_text("{name: board, extends: tflite-int8}")
    checkpoint.touch()
    choice = Choice.of("convtasnet", str(target), "ptq", "", str(checkpoint), str(spec))
    words = dict(word.split("=", 1) for word in shlex.split(choice.command)[2:])
    assert choice.command.startswith("make deploy SPEC=") and "MODEL" not in words
    assert Choice.of("", words["TARGET"], words["PROFILE"], words["DATA"], words["CHECKPOINT"], words["SPEC"]) == choice
    assert Choice.of("dptnet", "tflite-int8", "full", "", "", "").command == (
        "make deploy MODEL=dptnet TARGET=tflite-int8 PROFILE=full DATA=embedded"
    )


def test_a_target_of_the_users_own_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{name: tflite-int8, extends: tflite-int8, allowed_ops: [ADD]}")
    with pytest.raises(UserError, match=r"mine\.yaml has the name of one that ships, tflite-int8"):
        Choice.of("convtasnet", str(tmp_path / "mine.yaml"), "ptq", "", "", "")


def test_the_model_chooses_the_kind_of_data(tmp_path: Path) -> None:
    def chosen(model: str, data: str) -> str:
        return Choice.of(model, "tflite-int8", "ptq", data, "", "").data

    assert (chosen("convtasnet", ""), chosen("convtasnet-music", "")) == ("embedded", "embedded-stems")
    assert chosen("convtasnet-music", f"musdb18hq:{tmp_path}") == f"musdb18hq:{tmp_path}"
    with pytest.raises(UserError, match="embedded-stems, musdb18hq:DIR, rendered-stems"):
        chosen("convtasnet-music", "embedded")
    with pytest.raises(UserError, match="no folder /nowhere"):
        chosen("convtasnet-music", "musdb18hq:/nowhere")


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


def test_a_folder_of_speechbrain_is_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(1)
    spec = load_model("sepformer")
    network = build_network(spec)
    for part in ("encoder", "masknet", "decoder"):
        torch.save(network.get_submodule(part).state_dict(), tmp_path / f"{part}.ckpt")
    teacher = Deployment(Choice.of("sepformer", "tflite-int8", "ptq", "embedded", str(tmp_path), "")).teacher
    assert teacher.files == {"checkpoint": tmp_path}
    made = tmp_path / "made"
    made.mkdir()
    teacher_weights.run(made, teacher.settings, teacher.files)
    found = load_file(made / "float.safetensors")
    expected = network.state_dict()
    assert found.keys() == expected.keys()
    assert [key for key in found if not torch.equal(found[key], expected[key])] == ["decoder.weight"]  # at the sources' level


def test_committed_weights_do_not_serve_another_network(tmp_path: Path) -> None:
    content = yaml.safe_load(MODEL.read_text())
    content["network"]["hid_chan"] = 96
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(content))
    assert deployment(spec=str(changed)).teacher.parents["training"].module == "pipeline.stages.trained_teacher"


@pytest.mark.parametrize(
    ("model", "data", "checkpoint", "profile"),
    [
        ("convtasnet", "", "", "shipped"),
        ("htdemucs", "", "", "shipped"),
        ("convtasnet", "debian-voices", "", "quick"),  # asked to train on it
        ("convtasnet", "", str(MODEL), "quick"),  # any file that is there
        ("convtasnet-paper", "", "", "quick"),  # no weights of it ship
    ],
)
def test_what_ships_is_the_default_unless_data_or_weights_are_given(
    model: str, data: str, checkpoint: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.stages.choice.data_identity", lambda _: "")
    assert Choice.of(model, "tflite-int8", "", data, checkpoint, "").profile == profile


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


@pytest.mark.parametrize(
    ("model", "checkpoint", "words"), [("convtasnet-paper", "", "no quantized weights"), ("convtasnet", str(MODEL), "of your own")]
)
def test_what_does_not_ship_is_refused(model: str, checkpoint: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Choice.of(model, "tflite-int8", "shipped", "", checkpoint, "")
