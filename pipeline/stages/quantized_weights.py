"""Stage: quantization-aware training, or observation of ranges alone (PROFILE=ptq)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.data.sources import training_files
from pipeline.quantization.quantize import Recipe
from pipeline.training.qat import train_quantized


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: teacher. ``settings``: spec, recipe, profile, data. Makes ``quantized.safetensors``."""
    spec = ModelSpec.model_validate(settings["spec"])
    profile = spec.profiles[settings["profile"]]
    train, dev = training_files(settings["data"]["name"], spec.sample_rate, spec.task)
    weights = inputs["teacher"] / "float.safetensors"
    train_quantized(spec, Recipe(**settings["recipe"]), profile, weights, train, dev, folder)
