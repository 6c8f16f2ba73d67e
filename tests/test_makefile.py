"""What make is given is checked before anything is made: misspelt settings, and settings without effect."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


# `make test` runs this within make, whose child would talk of folders and take over its settings
OUTSIDE = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES")}


def dry_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``make -n``: what would be run."""
    return subprocess.run(["make", "-n", *arguments], cwd=ROOT, env=OUTSIDE, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("deploy", "PROFLE=quick"), "there is no setting PROFLE, the nearest is PROFILE"),
        (("deploy", "target=tflite-int8"), "there is no setting target, the nearest is TARGET"),
        (("deploy", "CHECKPOINTS=a.pth"), "there is no setting CHECKPOINTS, the nearest is CHECKPOINT"),
        (("test", "JOBS=4"), "there is no setting JOBS"),
        (("train", "PROFILE=full"), "PROFILE has no effect on `make train`, which takes CHECKPOINT DATA MODEL SPEC"),
        (("convert", "OUT=here"), "OUT has no effect on `make convert`"),
        (("bench", "TARGET=tflite-int8"), "TARGET has no effect on `make bench`"),
        (("deploy", "KEY=k.pem"), "KEY has no effect on `make deploy`"),
        (("lint", "MODEL=convtasnet"), "MODEL has no effect on `make lint`, which takes no settings"),
        (("deploy", "MODEL=convtasnet", "SPEC=mine.yaml"), "MODEL and SPEC both name the network: give one of them"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(arguments: tuple[str, ...], told: str) -> None:
    done = dry_run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("goal", ["deploy", "train", "qat", "export", "convert", "validate", "report"])
def test_settings_reach_the_stages(goal: str) -> None:
    arguments = {"SPEC": "my spec.yaml", "DATA": "folder:/x", "CHECKPOINT": "a.pth"}
    if goal != "train":
        arguments |= {"TARGET": "onnx-qdq", "PROFILE": "ptq"}
    if goal == "deploy":
        arguments["OUT"] = "there"
    done = dry_run(goal, *(f"{name}={value}" for name, value in arguments.items()))
    assert done.returncode == 0, done.stderr
    command = done.stdout.splitlines()[-1]
    stage = {"deploy": "", "report": "validate "}.get(goal, f"{goal} ")
    assert f"fqss deploy {stage}--model " in command
    assert all(f"--{name.lower()} '{value}'" in command for name, value in arguments.items())


def test_what_ships_is_evaluated_unless_weights_are_given() -> None:
    """DATA is the test set then: a deployment with DATA alone would train on it."""
    done = dry_run("evaluate", "DATA=librimix:/x", "MIXTURES=9", "OUT=there")
    assert done.returncode == 0, done.stderr
    assert "fqss deploy float --model 'convtasnet' --target 'tflite-int8' --profile 'shipped' --data 'librimix:/x'" in done.stdout
    assert "fqss evaluate --data 'librimix:/x' --mixtures 9 " in done.stdout and "--out 'there'" in done.stdout
    assert "--profile 'ptq'" in dry_run("evaluate", "CHECKPOINT=a.pth").stdout


def test_settings_reach_the_emulated_processor() -> None:
    done = dry_run("emulate-arm64", "MODEL=dptnet", "PROFILE=ptq", "MIXTURES=9", "CPU=cortex-a76")
    assert done.returncode == 0, done.stderr
    for stage in ("convert", "export", "evaluation"):
        assert f"fqss deploy {stage} --model 'dptnet' --target 'tflite-int8' --profile 'ptq'" in done.stdout
    assert "--cpu 'cortex-a76'" in done.stdout and "--mixtures '9'" in done.stdout
    assert done.stdout.index("-m edge_runtime.arm64_prefix") < done.stdout.index("-m validation.arm64")
    assert "--mixtures" not in dry_run("emulate-arm64").stdout
    assert "MIXTURES has no effect on `make emulate`" in dry_run("emulate", "MIXTURES=9").stderr


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (("MODEL=dptnet",), "dist/dptnet-tflite-int8"),
        (("SPEC=specs/mine.yaml", "TARGET=targets/board.yaml", "SEGMENT=0.5"), "dist/mine-board-0.5s"),
        (("OUT=there",), "there"),
    ],
)
def test_what_is_released_is_what_was_deployed(arguments: tuple[str, ...], folder: str) -> None:
    done = dry_run("release", "KEY=k.pem", "CARD=card.md", *arguments)
    deploy, release = done.stdout.splitlines()[-2:]
    assert deploy.endswith(f"--out '{folder}'"), done.stderr
    assert release.endswith(f"fqss release '{folder}' --key 'k.pem' --card 'card.md'")


def test_settings_reach_a_study() -> None:
    done = dry_run("study", "NAME=lambda", "SPEC=mine.yaml", "STEPS=100", "SEEDS=2", "ARMS=fqss,vanilla", "PROCESSES=3", "OUT=there")
    command = " ".join(done.stdout.splitlines()[-3:])
    assert "fqss study 'lambda' --model '' --spec 'mine.yaml'" in command
    assert all(part in command for part in ("--arms 'fqss,vanilla'", "--steps '100'", "--seeds '2'", "--processes '3'", "--out 'there'"))
    assert "--mixtures" not in command
    assert "TARGET has no effect on `make study`" in dry_run("study", "TARGET=tflite-int8").stderr


def test_one_of_several_goals_may_take_it() -> None:
    assert dry_run("clean", "deploy", "OUT=there").returncode == 0


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        ("extends: tflite-int8", []),
        ("extends: tflite-int8-ptq", [".venv-onnx2tf/"]),
        ("converter: onnx2tf-float32", [".venv-onnx2tf/"]),
        ("extends: tflite-int8-arm64", [" arm64\n"]),
    ],
)
def test_a_target_of_the_users_own_gets_the_environment_that_it_needs(target: str, needed: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"name: mine\n{target}\n")
    environment = {**OUTSIDE, "TARGET": str(tmp_path / "mine.yaml")}
    command = ["make", "-n", "--eval=show:; $(info needs $(NEEDED))", "show"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert [name for name in (".venv-onnx2tf/", " arm64\n") if name in done.stdout] == needed
    assert "needs .venv/" in done.stdout


HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
NEEDED = "Python 3.11, 3.12 or 3.13 is needed: install one (Debian, Ubuntu: python3 and python3-venv) or name one with PYTHON="


@pytest.mark.parametrize(
    ("python", "served", "told"),
    [
        (sys.executable, f"3.9 {HERE}", None),
        (sys.executable, "3.9 3.10", f"error: {sys.executable} is Python {platform.python_version()}; {NEEDED}"),
        ("", HERE, f"error: no python3 found; {NEEDED}"),
    ],
)
def test_a_python_that_is_not_served_is_refused(python: str, served: str, told: str | None, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").symlink_to("/bin/true")  # as if the environment were made
    rule = f"--eval=try: ; $(call make_venv,{tmp_path},{python},{served},$(WRONG_PYTHON))"
    done = subprocess.run(["make", rule, "try"], cwd=ROOT, env=OUTSIDE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[:1]) == ((2, [told]) if told else (0, []))
