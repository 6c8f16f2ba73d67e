"""What the tests of float training and of quantization-aware training share."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from export_specs.schema import ModelSpec
from pipeline.checkpoints.saving import save_network
from pipeline.training.loop import SeparationTask
from tests.tiny import tiny_network

Files = list[tuple[str, Path]]


class KilledError(RuntimeError):
    pass


def die() -> None:
    raise KilledError


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, death: Callable[[], None] = die) -> pytest.MonkeyPatch:
    """The process dies when it is about to take a step."""
    original = SeparationTask.training_step

    def training_step(task: SeparationTask, batch: Any, index: int) -> Any:
        if task.global_step == step:
            death()
        return original(task, batch, index)

    monkeypatch.setattr(SeparationTask, "training_step", training_step)
    return monkeypatch


def curve(folder: Path) -> list[dict[str, str]]:
    """Its rows without the training loss, which is that of the epoch before and so unknown in the first one after a start."""
    with (folder / "curve.csv").open() as stream:
        return [{name: value for name, value in row.items() if name != "train_loss"} for row in csv.DictReader(stream)]


def same_state(first: Path, second: Path) -> None:
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def float_weights(spec: ModelSpec, folder: Path) -> Path:
    path = folder / "teacher.safetensors"
    save_network(tiny_network(spec), path, {})
    return path
