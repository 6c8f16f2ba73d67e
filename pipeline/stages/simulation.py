"""Stage: what the fake-quantized network gives in torch on each evaluation set, a rung of the parity ladder, and its layers' noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.export.simulate import write_noise, write_outputs
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import load_quantized

NOISE_ITEMS = 4


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: quantized, evaluation. ``settings``: spec, recipe, sets. Makes ``outputs/<set>.npz`` and ``layers.json``."""
    spec = ModelSpec.model_validate(settings["spec"])
    network = load_quantized(spec, Recipe(**settings["recipe"]), inputs["quantized"] / "quantized.safetensors")
    for name in settings["sets"]:
        write_outputs(network, inputs["evaluation"] / name, spec.segment_samples, folder / "outputs" / f"{name}.npz")
    write_noise(network, inputs["evaluation"] / "test", spec.segment_samples, NOISE_ITEMS, folder / "layers.json")
