"""Stage: the float weights, checked against the network and brought to the sources' level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from export_specs.schema import ModelSpec
from pipeline.data.examples import training_examples
from pipeline.data.sources import training_files
from pipeline.models.build import build_network
from pipeline.models.checkpoint import load_network, save_network
from pipeline.training.qat import match_output_level

MIXTURES = 32


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: checkpoint (a file, or the folder of a training). ``settings``: spec, data. Makes ``float.safetensors``.

    Training with SI-SDR leaves the level of the outputs open, and one above full scale would be clipped to int16: the float
    reference itself, too.
    """
    spec = ModelSpec.model_validate(settings["spec"])
    network = build_network(spec)
    checkpoint = inputs["checkpoint"]
    load_network(network, checkpoint / "float.safetensors" if checkpoint.is_dir() else checkpoint)
    train, _ = training_files(settings["data"]["name"], spec.sample_rate)
    examples = training_examples(spec, train, spec.segment_samples, MIXTURES, spec.training.seed, False)
    mixtures, sources = (torch.stack(part) for part in zip(*(examples[index] for index in range(MIXTURES)), strict=True))
    factor = match_output_level(network, mixtures, sources)
    save_network(network, folder / "float.safetensors", {"model": spec.name, "level_factor": f"{factor:.6g}"})
