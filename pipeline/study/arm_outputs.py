"""Stage: what one network of a study, float or quantized, gives in torch on each evaluation set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.export.simulate import write_outputs
from pipeline.networks.build import build_network
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import load_quantized


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: weights (of one stage), evaluation. ``settings``: spec, recipe (None: of the float network), sets.

    Makes ``outputs/<set>.npz``.
    """
    spec = ModelSpec.model_validate(settings["spec"])
    if settings["recipe"] is None:
        network = build_network(spec)
        load_network(network, inputs["weights"] / "float.safetensors", spec)
    else:
        network = load_quantized(spec, Recipe(**settings["recipe"]), inputs["weights"] / "quantized.safetensors")
    for name in settings["sets"]:
        write_outputs(network, inputs["evaluation"] / name, spec.segment_samples, folder / "outputs" / f"{name}.npz")
