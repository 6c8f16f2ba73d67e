"""Trainings of stages: in this process, in several on this machine, or with a word of how to start them on several machines."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from export_specs.foundation.errors import UserError
from export_specs.schema import Hardware, ModelSpec
from pipeline.networks.build import build_network
from pipeline.quantization.recipe import Recipe
from pipeline.training import __main__, job, loop, qat
from pipeline.training.job import Job, run_job
from pipeline.training.teacher import examples_an_epoch, train_teacher
from tests.tiny import tiny_spec, write_speech
from tests.training.runs import Files, float_weights

RECIPE = Recipe("fqss", "runtime-filter")
HARDWARE = {"accelerator": "gpu", "devices": 2, "num_nodes": 3, "precision": "bf16-mixed"}


def on(hardware: dict[str, Any], **sizes: int) -> ModelSpec:
    """A tiny spec, both of whose trainings run on the hardware."""
    fields = tiny_spec(**sizes).model_dump(mode="json")
    for training in (fields["training"], *fields["profiles"].values()):
        training |= hardware
    return ModelSpec.model_validate(fields)


@pytest.fixture
def data(tmp_path: Path) -> str:
    write_speech(tmp_path / "speech", speakers=4, utterances=20, seconds=3)
    return f"folder:{tmp_path / 'speech'}"


class StartedError(Exception):
    pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What lightning's Trainer is asked for; it then stops."""
    found: dict[str, Any] = {}

    def trainer(**settings: Any) -> None:
        found.update(settings)
        raise StartedError

    monkeypatch.setattr(loop.lightning, "Trainer", trainer)
    return found


def test_float_training_runs_on_the_hardware_of_the_spec(speech: Files, asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(StartedError):
        train_teacher(on(HARDWARE), speech, speech, tmp_path, 0)
    assert {name: asked[name] for name in HARDWARE} == HARDWARE
    assert asked["strategy"].startswith("ddp")


def test_quantization_aware_training_runs_on_the_hardware_of_its_profile(
    speech: Files, asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)
    spec = on(HARDWARE)
    with pytest.raises(StartedError):
        qat.train_quantized(spec, RECIPE, spec.profiles["quick"], float_weights(spec, tmp_path), speech, speech, tmp_path)
    assert {name: asked[name] for name in HARDWARE} == HARDWARE


def test_one_process_needs_no_strategy(speech: Files, asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(StartedError):
        train_teacher(on({}), speech, speech, tmp_path, 0)
    assert {name: asked[name] for name in Hardware.model_fields} == Hardware().model_dump()
    assert asked["strategy"] == "auto"


def test_every_process_has_examples_of_its_own() -> None:
    spec = on(HARDWARE)
    assert examples_an_epoch(spec.training) == 6 * examples_an_epoch(on({}).training) == 6 * 2 * 2


@pytest.mark.parametrize("hardware", [{"accelerator": "gpu"}, {"accelerator": "abacus"}])
def test_hardware_that_is_not_there_is_told(hardware: dict[str, Any], speech: Files, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"cannot train with accelerator {hardware['accelerator']}, devices 1"):
        train_teacher(on(hardware), speech, speech, tmp_path, 0)


def test_training_in_bf16(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Float and quantized, on this machine's processor."""
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)
    spec = on({"precision": "bf16-mixed"})
    weights = train_teacher(spec, speech, speech, tmp_path / "float", 0)
    state = load_file(qat.train_quantized(spec, RECIPE, spec.profiles["quick"], weights, speech, speech, tmp_path / "quantized"))
    assert all(value.isfinite().all() for value in state.values())


def test_the_command_line_overrides_the_spec(asked: dict[str, Any], data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(on({"precision": "bf16-mixed", "devices": 5}).model_dump(mode="json")))
    command = ["--model", str(tmp_path / "tiny.yaml"), "--data", data, "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(__main__.app, [*command, "--accelerator", "gpu", "--num-nodes", "2"])
    assert isinstance(done.exception, StartedError), done.output
    assert {name: asked[name] for name in HARDWARE} == {"accelerator": "gpu", "devices": 5, "num_nodes": 2, "precision": "bf16-mixed"}
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # by torchrun
    monkeypatch.setenv("WORLD_SIZE", "12")
    CliRunner().invoke(__main__.app, command)
    assert (asked["devices"], asked["num_nodes"]) == (4, 3)
    done = CliRunner().invoke(__main__.app, [*command, "--precision", "8-mixed"])
    assert isinstance(done.exception, UserError) and "precision" in str(done.exception)


def test_a_training_on_several_machines_is_told_how_to_be_started(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once its weights are there, they are taken."""
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)
    spec = on({"devices": 4, "num_nodes": 2})
    wanted = Job(spec=spec, data=data, weights=float_weights(spec, tmp_path), recipe=RECIPE, profile="quick")
    with pytest.raises(
        UserError, match=r"needs 2 computers: run `torchrun --nnodes=2 --nproc-per-node=4 .*pipeline\.training\.job .*job\.json`"
    ):
        run_job(wanted, tmp_path / "stage")
    place = tmp_path / "stage" / job.FOLDER
    written = Job.model_validate_json((place / job.FILE).read_bytes())
    assert written == wanted
    (place / "quantized.safetensors").write_bytes(b"weights")
    assert run_job(wanted, tmp_path / "stage").read_bytes() == b"weights"


def test_a_process_that_fails_fails_the_training(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "run_child", lambda _: subprocess.CompletedProcess([], 3))
    with pytest.raises(UserError, match="in 2 processes ended with exit code 3"):
        run_job(Job(spec=on({"devices": 2}), data=data), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("quantized", [False, True])
def test_two_processes_train_from_the_file(quantized: bool, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    spec = on({"devices": 2}, steps=4, epoch_steps=2, qat_steps=2)
    wanted = Job(spec=spec, data=data)
    if quantized:
        wanted = Job(spec=spec, data=data, weights=float_weights(spec, tmp_path), recipe=RECIPE, profile="quick")
    weights = run_job(wanted, tmp_path / "stage")
    assert weights.name == ("quantized.safetensors" if quantized else "float.safetensors")
    state = load_file(weights)
    assert all(value.isfinite().all() for value in state.values())
    if not quantized:
        assert state.keys() == build_network(spec).state_dict().keys()
    assert (weights.parent / job.FOLDER / "last.ckpt").is_file()
