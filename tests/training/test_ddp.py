"""Training in two processes on this machine's CPU (gloo)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from pipeline.checkpoints.saving import save_network
from pipeline.networks.build import build_network
from tests.tiny import tiny_network, tiny_spec, write_speech

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(what: str, folder: Path, launcher: list[str], steps: int = 4) -> Path:
    if not (folder / "speech").exists():
        write_speech(folder / "speech")
        save_network(tiny_network(tiny_spec()), folder / "speech" / "teacher.safetensors", {})
    out = folder / "out"
    out.mkdir(exist_ok=True)
    command = [*launcher, str(Path(__file__).with_name("ddp_program.py")), what, str(out), str(folder / "speech"), str(steps)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MASTER_PORT": str(free_port())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def examples(out: Path, rank: int) -> list[tuple[int, int]]:
    lines = (out / f"examples-{rank}").read_text().splitlines()
    return [(int(epoch), int(index)) for epoch, index in (line.split() for line in lines)]


@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_two_processes_train_one_teacher_on_different_examples(launcher: str, tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    out = run("teacher", tmp_path, [sys.executable, *(torchrun if launcher == "torchrun" else [])])
    first, second = (examples(out, rank) for rank in range(2))
    # two epochs of two steps of two examples in each process; together every example once
    assert len(first) == len(second) == 8
    assert sorted(first + second) == [(epoch, index) for epoch in range(2) for index in range(8)]
    weights = load_file(out / "float.safetensors")
    assert all(value.isfinite().all() for value in weights.values())
    assert weights.keys() == build_network(tiny_spec()).state_dict().keys()
    assert [path.name for path in out.glob("written-*")] == ["written-0"]
    assert len((out / "curve.csv").read_text().splitlines()) == 3  # written by one process
    checkpoint = torch.load(out / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4


def test_two_processes_go_on_exactly_where_they_were_stopped(tmp_path: Path) -> None:
    """The same examples come to the same process; lightning's own sampler shuffled them otherwise after an interruption."""
    (straight := tmp_path / "straight").mkdir()
    (stopped := tmp_path / "stopped").mkdir()
    whole = run("teacher", straight, [sys.executable], steps=6)
    run("teacher", stopped, [sys.executable], steps=4)
    parts = run("teacher", stopped, [sys.executable], steps=6)
    for rank in range(2):
        assert examples(parts, rank) == examples(whole, rank)
    expected, found = load_file(whole / "float.safetensors"), load_file(parts / "float.safetensors")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert (parts / "curve.csv").read_text() == (whole / "curve.csv").read_text()


@pytest.mark.parametrize("recipe", ["fqss-scalar-gain", "fqss-runtime-filter", "vanilla-int16-elementwise"])
def test_two_processes_train_one_quantized_network(recipe: str, tmp_path: Path) -> None:
    out = run(recipe, tmp_path, [sys.executable])
    state = load_file(out / "quantized.safetensors")
    assert all(value.isfinite().all() for value in state.values())
    assert not set(examples(out, 0)) & set(examples(out, 1))
    assert [path.name for path in out.glob("written-*")] == ["written-0"]


def test_the_command_line_trains_in_the_processes_that_torchrun_starts(tmp_path: Path) -> None:
    spec = tiny_spec(steps=4, epoch_steps=2)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(spec.model_dump()))
    write_speech(tmp_path / "speech", speakers=4, utterances=40, seconds=3)
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}", "-m", "pipeline.training"]
    options = ["--model", str(tmp_path / "tiny.yaml"), "--data", f"folder:{tmp_path / 'speech'}", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"}
    command = [sys.executable, *launcher, *options]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 processes" in done.stderr  # lightning says so
    checkpoint = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4
    assert (tmp_path / "out" / "float.safetensors").exists()
