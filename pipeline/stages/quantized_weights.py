"""Stage: quantization-aware training, or observation of ranges alone (PROFILE=ptq)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.quantization.recipe import Recipe
from pipeline.training.job import Job, run_job


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: teacher. ``settings``: spec, recipe, profile, data. Makes ``quantized.safetensors``."""
    job = Job(
        spec=ModelSpec.model_validate(settings["spec"]),
        data=settings["data"]["name"],
        weights=inputs["teacher"] / "float.safetensors",
        recipe=Recipe(**settings["recipe"]),
        profile=settings["profile"],
    )
    run_job(job, folder)
