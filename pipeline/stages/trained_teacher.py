"""Stage: training of the float network, for a model without committed weights and without CHECKPOINT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.data.sources import training_files
from pipeline.training.teacher import train_teacher


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: start (float weights), if any. ``settings``: spec, data. Makes ``float.safetensors``; goes on where it stopped."""
    spec = ModelSpec.model_validate(settings["spec"])
    train, dev = training_files(settings["data"]["name"], spec.sample_rate, spec.task)
    train_teacher(spec, train, dev, folder, workers=1, devices=1, start=inputs.get("start"))
