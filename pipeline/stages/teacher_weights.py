"""Stage: the float weights, checked against the network and brought to the sources' level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import typer
from torch import nn

from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import facts_of, save_network
from pipeline.data.examples import training_examples
from pipeline.data.sources import training_files
from pipeline.losses.objective import objective_of
from pipeline.networks.build import build_network
from pipeline.training.qat import match_output_level

MIXTURES = 32


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: checkpoint, or the folder of a training. ``settings``: spec, data. Makes ``float.safetensors``.

    Training with SI-SDR leaves the level of the outputs open, and one above full scale would be clipped to int16: the float
    reference itself, too. Where the task's loss fixes the level, the weights stay as they are.
    """
    spec = ModelSpec.model_validate(settings["spec"])
    network = build_network(spec)
    weights = inputs["training"] / "float.safetensors" if "training" in inputs else inputs["checkpoint"]
    for note in load_network(network, weights, spec):
        typer.echo(f"note: {note}", err=True)
    factor = 1.0
    if objective_of(spec.task).open_level:
        factor = _match_level(network, spec, settings["data"]["name"])
    save_network(network, folder / "float.safetensors", {**facts_of(spec), "level_factor": f"{factor:.6g}"})


def _match_level(network: nn.Module, spec: ModelSpec, data: str) -> float:
    train, _ = training_files(data, spec.sample_rate, spec.task)
    examples = training_examples(spec, train, spec.segment_samples, MIXTURES, spec.training.seed, False)
    mixtures, sources = (torch.stack(part) for part in zip(*(examples[index] for index in range(MIXTURES)), strict=True))
    return match_output_level(network, mixtures, sources)
