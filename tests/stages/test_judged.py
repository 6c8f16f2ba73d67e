"""What a deployment asks for: what is judged, in which runtimes, beside which baselines, on which mixtures; and what profiles ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export_specs.load import load_model, load_target, model_names
from export_specs.schema import EMULATED, RUNTIMES
from pipeline.stages.choice import PROFILES, SHIPPED_MIXTURES, Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.onnx2tf_beside import REFUSAL
from pipeline.stages.report import judge_config
from validation.config import read_config

MODELS = ("convtasnet", "dptnet", "sepformer", "convtasnet-music", "htdemucs")
BASELINES = {"shipped": [], "ptq": [], "quick": ["ptq"], "full": ["vanilla QAT", "ptq", "onnx2tf int8"]}


def deployment(model: str = "convtasnet", target: str = "tflite-int8", profile: str = "quick") -> Deployment:
    return Deployment(Choice.of(model, target, profile, "", "", ""))


def asked(folder: Path, model: str = "convtasnet", target: str = "tflite-int8", profile: str = "quick") -> dict[str, Any]:
    """judge.json of a deployment whose stages lie each in a folder of its own name."""
    report = deployment(model, target, profile).report
    return judge_config(report.settings, {name: folder / name for name in report.parents})


def test_the_reference_kernels_are_judged_and_the_ladder_has_every_runtime(tmp_path: Path) -> None:
    config = asked(tmp_path)
    assert config["subject"] == "litert-ref"
    models = {stage["name"]: stage["path"] for stage in config["stages"] if stage["kind"] == "model" and not stage.get("beside")}
    tflite, onnx = f"{tmp_path}/tflite/model.tflite", f"{tmp_path}/onnx/model.qdq.onnx"
    assert models == {"float": f"{tmp_path}/float/float.onnx", "onnxruntime": onnx} | {
        runtime: tflite for runtime in RUNTIMES if runtime != "onnxruntime"
    }
    assert "tflm" in models
    assert all(stage["runtime"] == stage["name"] for stage in config["stages"] if stage["name"] in RUNTIMES)
    assert (config["tflite"], config["onnx"], config["float_onnx"]) == (tflite, onnx, f"{tmp_path}/float/float.onnx")


@pytest.mark.parametrize(("model", "target", "files"), [
    ("convtasnet", "tflite-int8", []),
    ("convtasnet-causal", "onnx-qdq", ["stream-onnx/model.stream.qdq.onnx"]),
    ("convtasnet-causal", "c-int8", ["stream-tflite/model.stream.tflite", "stream-onnx/model.stream.qdq.onnx"]),
    ("convtasnet-causal", "tflite-float32", []),
])  # fmt: skip
def test_what_streams_is_judged_too(model: str, target: str, files: list[str], tmp_path: Path) -> None:
    config = asked(tmp_path, model, target)
    assert [path for path in (config["stream_tflite"], config["stream_onnx"]) if path] == [f"{tmp_path}/{file}" for file in files]
    made = deployment(model, target)
    stages = {file: stage.results for file, stage in (("tflite", made.stream_tflite), ("onnx", made.stream_onnx)) if stage is not None}
    assert [f"stream-{kind}/{result}" for kind, (result,) in stages.items()] == files


def test_the_ladder_goes_from_float_over_fake_quantized_to_the_runtimes(tmp_path: Path) -> None:
    assert [stage["name"] for stage in asked(tmp_path)["stages"]] == ["float", "ptq", "fake-quantized", *RUNTIMES]


@pytest.mark.parametrize(("target", "subject", "fast"), [
    ("tflite-int8", "litert-ref", "litert-xnnpack"),
    ("tflite-int8-npu", "litert-ref", "litert-xnnpack"),
    ("onnx-qdq", "onnxruntime", "onnxruntime"),
    ("tflite-float32", "litert-xnnpack", "litert-xnnpack"),
    ("tflite-int8-ptq", "litert-ref", "litert-xnnpack"),
])  # fmt: skip
def test_every_target_is_judged_on_its_subject(target: str, subject: str, fast: str, tmp_path: Path) -> None:
    config = asked(tmp_path, target=target)
    assert (config["subject"], config["level_runtime"]) == (subject, fast)
    ladder = [stage["name"] for stage in config["stages"] if stage["name"] in RUNTIMES]
    assert ladder == list(load_target(target).runtimes)
    assert ("fake-quantized" in [stage["name"] for stage in config["stages"]]) == (load_target(target).converter in ("own", "none"))
    assert (config["layer_noise"] is not None) == (load_target(target).converter in ("own", "none"))


def test_targets_ask_for_their_runtimes() -> None:
    everything = ["onnxruntime", "litert-ref", "litert-opt", "litert-xnnpack", "tflm"]
    wanted = {
        "onnx-qdq": ["onnxruntime"],
        "tflite-float32": ["litert-xnnpack"],
        "tflite-int8": everything,
        "tflite-int8-npu": everything,
        "tflite-int8-ptq": ["litert-ref", "litert-xnnpack"],
    }
    assert {name: list(load_target(name).runtimes) for name in wanted} == wanted


def test_only_tflm_runs_on_fewer_mixtures(tmp_path: Path) -> None:
    assert {stage["name"]: stage.get("items") for stage in asked(tmp_path)["stages"] if stage.get("items")} == {"tflm": 4}


def test_the_ladder_has_rungs_on_an_emulated_processor(tmp_path: Path) -> None:
    """On few mixtures, as TFLM. The file is that of tflite-int8, and so are what is judged and the fast runtime."""
    config, plain = asked(tmp_path, target="tflite-int8-arm64"), asked(tmp_path)
    rungs = {stage["name"]: stage for stage in config["stages"] if stage["name"] in EMULATED}
    assert list(rungs) == ["arm64-litert-ref", "arm64-litert-xnnpack", "arm64-onnxruntime"]
    assert {stage["items"] for stage in rungs.values()} == {4}
    assert [Path(stage["path"]).name for stage in rungs.values()] == ["model.tflite", "model.tflite", "model.qdq.onnx"]
    assert all(stage["runtime"] == name for name, stage in rungs.items())
    assert all(config[key] == plain[key] for key in ("subject", "level_runtime", "tflite", "onnx"))
    ours, theirs = load_target("tflite-int8-arm64"), load_target("tflite-int8")
    assert (ours.allowed_ops, ours.rewrites, ours.norm_recipe) == (theirs.allowed_ops, theirs.rewrites, theirs.norm_recipe)


@pytest.mark.parametrize("profile", PROFILES)
def test_baselines_stand_beside(profile: str, tmp_path: Path) -> None:
    config = asked(tmp_path, profile=profile)
    beside = [stage for stage in config["stages"] if stage.get("beside")]
    assert [stage["name"] for stage in beside] == BASELINES[profile]
    runtimes = {stage["name"]: (Path(stage["path"]).name, stage["runtime"]) for stage in beside}
    assert runtimes == {
        name: ("model.tflite", "litert-xnnpack") if name == "onnx2tf int8" else ("model.qdq.onnx", "onnxruntime")
        for name in BASELINES[profile]
    }
    sweep = next(entry for entry in config["sets"] if entry["role"] == "sweep")
    assert sweep["stages"] == ["float", *BASELINES[profile], "litert-ref"]


def test_baselines_are_what_they_are_called() -> None:
    """ptq: ours without training. vanilla: trained as long, without splitter, reconstructor and teacher."""
    parents = deployment(profile="full").report.parents
    ours = parents["onnx"].parents["quantized"]
    ptq, vanilla = (parents[f"beside-{name}"].parents["quantized"] for name in ("ptq", "vanilla"))
    assert [stage.name for stage in (ours, ptq, vanilla)] == [
        f"convtasnet/qat-{variant}-{load_target('tflite-int8').norm_recipe}-{profile}"
        for variant, profile in (("fqss", "full"), ("fqss", "ptq"), ("vanilla", "full"))
    ]
    assert parents["beside-vanilla"].settings["recipe"]["variant"] == "vanilla"
    assert parents["beside-ptq"].settings["recipe"]["variant"] == parents["onnx"].settings["recipe"]["variant"] == "fqss"
    assert ptq.settings["profile"] == "ptq"
    assert parents["beside-onnx2tf"].module == "pipeline.stages.onnx2tf_beside" and parents["beside-onnx2tf"].settings["int8"] is True


def test_a_converter_that_refused_the_network_is_told_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "beside-onnx2tf" / "beside").mkdir(parents=True)
    (tmp_path / "beside-onnx2tf" / "beside" / REFUSAL).write_text("Traceback\nno Scan\n")
    config = asked(tmp_path, profile="full")
    assert config["refused"] == {"onnx2tf int8": "no Scan"}
    assert [stage["name"] for stage in config["stages"] if stage.get("beside")] == ["vanilla QAT", "ptq"]


@pytest.mark.parametrize("model", MODELS)
def test_music_is_judged_on_whole_tracks_too(model: str, tmp_path: Path) -> None:
    config = asked(tmp_path, model)
    music = load_model(model).task == "music"
    assert [(Path(entry["path"]).name, entry["role"]) for entry in config["sets"]] == [
        ("test", "test"),
        ("sweep", "sweep"),
        *([("tracks", "extra")] if music else []),
    ]
    assert all("items" not in entry for entry in config["sets"])  # every mixture of a set
    if music:
        assert config["sets"][-1]["stages"] == ["float", "ptq", "litert-xnnpack"]
    assert ("tracks" in deployment(model).evaluation.results) is music


def test_the_judge_takes_what_it_is_asked(tmp_path: Path) -> None:
    """The schema of the one side, read by the other; every softer mixture is judged."""
    config = asked(tmp_path, profile="full")
    (tmp_path / "target.yaml").write_text("{name: mine, extends: tflite-int8}")
    (tmp_path / "judge.json").write_text(json.dumps(config))
    read = read_config(tmp_path / "judge.json")
    assert (read.model, read.profile, read.subject, read.reference) == ("convtasnet", "full", "litert-ref", "float")
    assert read.level_items > 10_000
    assert read.parameters == 395_357
    assert read.reproduce == "make deploy MODEL=convtasnet TARGET=tflite-int8 PROFILE=full DATA=embedded"


def test_digests_of_what_was_judged_stand_in_the_report(tmp_path: Path) -> None:
    report = deployment().report
    for name in ("onnx", "evaluation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stage.json").write_text(json.dumps({"results": {"file": f"digest of {name}"}}))
    config = judge_config(report.settings, {name: tmp_path / name for name in report.parents})
    assert config["provenance"]["digests"] == {"onnx/file": "digest of onnx"}


def test_what_ships_is_what_is_judged_and_simulated() -> None:
    for target in ("tflite-int8", "tflite-int8-npu", "onnx-qdq"):
        made = deployment(target=target)
        parents = made.report.parents
        assert parents["onnx"] == made.onnx and parents.get("tflite") == made.tflite
        assert (made.tflite is None) == (target == "onnx-qdq")
        assert parents["float"] == made.float_export and parents["float"].parents == {"teacher": made.teacher}
        assert parents["fake"].parents == {"quantized": made.quantized, "evaluation": made.evaluation}
        assert parents["fake"].settings["sets"] == ["test", "sweep"]
        if made.tflite is not None:
            assert made.tflite.parents == {"onnx": made.onnx}
            assert made.tflite.settings["allowed_ops"] == list(load_target(target).allowed_ops)


def test_profiles_ask_for_training_and_mixtures() -> None:
    asked_for = {
        (name, profile): (found.steps, found.validation_mixtures) for name in MODELS for profile, found in load_model(name).profiles.items()
    }
    assert {steps for (_, profile), (steps, _) in asked_for.items() if profile == "ptq"} == {0}
    assert all(0 < asked_for[name, "quick"][0] < asked_for[name, "full"][0] for name in MODELS if name != "dptnet")
    assert asked_for["dptnet", "quick"][0] < asked_for["dptnet", "full"][0]
    assert all(asked_for[name, "full"][1] >= 100 for name in MODELS)
    assert set(MODELS) <= set(model_names())


@pytest.mark.parametrize("profile", PROFILES)
def test_the_evaluation_has_as_many_mixtures_as_the_profile_says(profile: str) -> None:
    made = deployment(profile=profile)
    wanted = {name: plan.validation_mixtures for name, plan in made.choice.spec.profiles.items()} | {"shipped": SHIPPED_MIXTURES}
    assert made.evaluation.settings["mixtures"] == wanted[made.choice.profile]
    assert made.report.settings["profile"] == ("full" if profile == "shipped" else profile)  # whose limits the gates have


def test_committed_weights_serve_our_data_and_our_checkpoint_alone(tmp_path: Path) -> None:
    """Trained from the committed float weights, with PROFILE=full and the default data: for anything else they are not the result."""
    quantized = deployment(profile="full").quantized
    assert quantized is not None and quantized.module == "pipeline.stages.committed_weights"
    checkpoint = tmp_path / "mine.safetensors"
    checkpoint.touch()
    others = [
        Deployment(Choice.of("convtasnet", "tflite-int8", "full", "", str(checkpoint), "")),
        deployment(profile="quick"),
        deployment(profile="ptq"),
    ]
    for other in others:
        assert other.quantized is not None and other.quantized.module == "pipeline.stages.quantized_weights"
        assert other.quantized.parents == {"teacher": other.teacher}


def test_the_teacher_is_what_training_starts_from() -> None:
    made = deployment(profile="ptq")
    assert made.teacher.files["checkpoint"].name == "float.safetensors"
    assert made.trained_teacher().files == {}
    assert replace(made.teacher, files={}).parents == {}
