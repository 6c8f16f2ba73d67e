"""Stage: training of the float network, for a model without committed weights and without CHECKPOINT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.training.job import Job, run_job


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: start (float weights), if any. ``settings``: spec, data. Makes ``float.safetensors``; goes on where it stopped."""
    spec = ModelSpec.model_validate(settings["spec"])
    run_job(Job(spec=spec, data=settings["data"]["name"], weights=inputs.get("start")), folder)
