"""Stage: the float network trained further by the plan of quantization-aware training: the same steps, rate and examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.training.job import Job, run_job
from pipeline.training.qat import plan_of


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: teacher. ``settings``: spec, profile, data. Makes ``float.safetensors``; goes on where it stopped."""
    spec = ModelSpec.model_validate(settings["spec"])
    further = spec.model_copy(update={"training": plan_of(spec, spec.profiles[settings["profile"]])})
    run_job(Job(spec=further, data=settings["data"]["name"], weights=inputs["teacher"] / "float.safetensors"), folder)
