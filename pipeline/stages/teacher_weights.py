"""Stage: the float weights that come from a file, checked against the network and kept as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.models.build import build_network
from pipeline.models.checkpoint import load_network, save_network


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: checkpoint. ``settings``: spec. Makes ``float.safetensors``."""
    spec = ModelSpec.model_validate(settings["spec"])
    network = build_network(spec)
    load_network(network, inputs["checkpoint"])
    save_network(network, folder / "float.safetensors", {"model": spec.name})
