"""``python -m pipeline.training.evaluate WEIGHTS``: how far weights improve mixtures of a set of people, before anything is converted.

The parity report judges what a device runs. This is for choosing weights: float ones, or the quantized ones of a training.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, cast, get_args

import numpy as np
import torch
import typer
from safetensors import SafetensorError, safe_open
from scipy.stats import bootstrap
from torch import Tensor, nn
from torch.nn import functional

from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError, run_command_line
from export_specs.load import load_model
from export_specs.method import Method, Variant
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.data.evaluation_set import PEOPLE, SetOptions, mixtures_to_judge
from pipeline.data.mixing import at_device_level
from pipeline.data.set_folder import Mixture
from pipeline.data.sources import data_for, open_speech
from pipeline.layers.global_norm.recipes import FORMER_NAMES
from pipeline.losses.objective import si_sdr_improvement
from pipeline.networks.build import build_network
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import load_quantized

CONFIDENCE = 0.95
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Improvement:
    """SI-SDR improvement over a set of mixtures, dB: mean with its 95 % bootstrap interval, median, 5th percentile."""

    mixtures: int
    mean: float
    low: float
    high: float
    median: float
    p5: float

    @classmethod
    def of(cls, improvements: list[float]) -> Improvement:
        """Of the improvement of each mixture."""
        values = np.asarray(improvements)
        mean = low = high = float(values.mean())
        if len(values) > 1 and np.ptp(values) > 0:
            found = bootstrap((values,), np.mean, confidence_level=CONFIDENCE, method="percentile", rng=np.random.default_rng(0))
            low, high = (float(end) for end in found.confidence_interval)
        return cls(len(values), mean, low, high, float(np.median(values)), float(np.percentile(values, 5)))


def load_any(spec: ModelSpec, weights: Path) -> nn.Module:
    """The float network, or the quantized one where the weights say that they are of one; in eval mode.

    Raises:
        UserError: the weights do not fit.
    """
    facts = _facts(weights)
    variant, norm = facts.get("variant"), facts.get("norm", "")
    if variant in get_args(Variant):
        changed = Method.model_validate_json(facts["changed"]) if "changed" in facts else None
        return load_quantized(spec, Recipe(cast(Variant, variant), FORMER_NAMES.get(norm, norm), changed), weights)
    network = build_network(spec)
    load_network(network, weights, spec)
    return network.eval()


def _facts(weights: Path) -> dict[str, str]:
    try:
        with safe_open(weights, "pt") as stream:
            return stream.metadata() or {}
    except (SafetensorError, OSError):  # another kind of file, or none: reading the weights tells
        return {}


@torch.no_grad()
def improvement(network: nn.Module, spec: ModelSpec, mixture: Mixture) -> float:
    """SI-SDR improvement of one mixture in dB, at the level that a device works at."""
    parts = [*mixture.sources, *([] if mixture.noise is None else [mixture.noise])]
    levelled = torch.from_numpy(at_device_level(np.stack(parts).astype(np.float32) / np.float32(32768)))
    heard, sources = levelled.sum(0)[None], levelled[None, : len(mixture.sources)]
    samples = heard.shape[1]
    missing = spec.network.covering_frames(samples) - samples
    estimate: Tensor = network(functional.pad(heard, (0, missing)))[..., :samples]
    return float(si_sdr_improvement(estimate.double(), heard.double(), sources.double()))


@app.command()
def run(
    weights: Annotated[Path, typer.Argument(help="Float weights, or the quantized ones of a training.")],
    model: Annotated[str, typer.Option(help="Model name or spec file.")] = "convtasnet",
    data: Annotated[str, typer.Option(help="Data set of speech, as make's DATA.")] = "debian-voices",
    people: Annotated[str, typer.Option(help=f"Whose mixtures: {', '.join(PEOPLE)}.")] = "test",
    n: Annotated[int, typer.Option("--n", min=2, help="Mixtures.")] = 100,
    seconds: Annotated[float, typer.Option(min=0, help="Longest mixture; 0: as long as the shorter utterance.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="The mixtures follow from it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file of the figures.")] = None,
) -> None:
    """SI-SDR improvement of mixtures, with its interval."""
    spec = load_model(model)
    if spec.task == "music":
        raise UserError(f"{spec.name} is a network of music, which this command has no mixtures for; `make validate` judges it")
    network = load_any(spec, weights)
    options = SetOptions(spec.sample_rate, n, seed, spec.task, max_seconds=seconds or None, snr_db=spec.noise_snr_db)
    mixtures = mixtures_to_judge(open_speech(data_for(spec.task, data), spec.sample_rate), options, people)
    result = Improvement.of([improvement(network, spec, mixture) for mixture in mixtures])
    speakers = {speaker for mixture in mixtures for speaker in mixture.speakers}
    spread = f"95 %: {result.low:.2f} to {result.high:.2f}; median {result.median:.2f}, 5th percentile {result.p5:.2f}"
    typer.echo(f"{result.mean:.2f} dB SI-SDR improvement ({spread}) on {result.mixtures} mixtures of {len(speakers)} people of {data}")
    if out is not None:
        asked = {"weights": weights.name, "model": spec.name, "data": data, "people": people, "seconds": seconds, "seed": seed}
        write_text(out, json.dumps({**asked, "speakers": len(speakers), **asdict(result)}, indent=1) + "\n")


if __name__ == "__main__":
    run_command_line(app)
