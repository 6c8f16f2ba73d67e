"""Judging weights: by networks whose result is known, on mixtures that the report judges too, and the command end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from typer.testing import CliRunner

from export_specs.foundation.errors import UserError
from pipeline.checkpoints.saving import save_network
from pipeline.data.evaluation_set import SetOptions, mixtures_to_judge, write_evaluation_sets
from pipeline.data.set_folder import Mixture
from pipeline.data.sources import open_speech
from pipeline.data.split import Split
from pipeline.quantization.recipe import Recipe
from pipeline.training.evaluate import Improvement, app, improvement, load_any
from tests.tiny import quantized_network, tiny_music_spec, tiny_network, tiny_spec

RATE = 8000


class Known(nn.Module):
    """Gives out what it was made with, and remembers what it heard."""

    def __init__(self, estimate: Tensor) -> None:
        super().__init__()
        self.estimate = estimate
        self.heard = torch.zeros(0)

    def forward(self, mixture: Tensor) -> Tensor:
        self.heard = mixture
        missing = mixture.shape[-1] - self.estimate.shape[-1]
        return nn.functional.pad(self.estimate, (0, missing))[None]


def mixture_of(samples: int, seed: int = 0) -> Mixture:
    random = np.random.default_rng(seed)
    sources = [(random.standard_normal(samples) * 2000).astype(np.int16) for _ in range(2)]
    return Mixture("test", sources, ["a", "b"], None, None)


def test_the_improvement_is_that_of_the_estimates_over_the_mixture() -> None:
    mixture, random = mixture_of(4000), np.random.default_rng(1)
    sources = torch.tensor(np.stack(mixture.sources), dtype=torch.float32)
    noise = torch.tensor(random.standard_normal((2, 4000)), dtype=torch.float32)
    noisy = sources + noise * sources.std() * 10 ** (-20 / 20)  # 20 dB, where the mixture has 0
    assert improvement(Known(0.3 * noisy.flip(0)), tiny_spec(), mixture) == pytest.approx(20, abs=0.5)
    assert improvement(Known(sources.sum(0).expand(2, -1)), tiny_spec(), mixture) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("samples", [5, 16, 800, 801, 807, 808])
def test_mixtures_of_any_length_are_heard_in_whole_frames(samples: int) -> None:
    spec, mixture = tiny_spec(), mixture_of(samples)
    network = Known(torch.tensor(np.stack(mixture.sources), dtype=torch.float32))
    improvement(network, spec, mixture)
    heard = network.heard.shape[-1]
    assert samples <= heard < max(samples + spec.network.stride, spec.network.kernel_size + 1)
    assert (heard - spec.network.kernel_size) % spec.network.stride == 0
    assert 0.5 <= float(network.heard.abs().max()) < 1  # as a device brings it to its level


def test_the_interval_is_that_of_the_mean() -> None:
    """For many values it is the one of the normal distribution."""
    values = np.random.default_rng(2).normal(5, 3, 400)
    result = Improvement.of(values.tolist())
    error = 1.96 * values.std(ddof=1) / 20
    assert result.mean == pytest.approx(values.mean())
    assert (result.low, result.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.1 * error)
    assert Improvement.of([2.0, 2.0]) == Improvement(2, 2.0, 2.0, 2.0, 2.0, 2.0)


def test_the_mixtures_are_those_of_the_evaluation_set(tmp_path: Path) -> None:
    speech, options = open_speech("embedded", RATE), SetOptions(RATE, 6, max_seconds=1.0, calibration=1)
    write_evaluation_sets(speech, tmp_path, options)
    items = json.loads((tmp_path / "test" / "manifest.json").read_text())["items"]
    mixtures = mixtures_to_judge(speech, options, "test")
    assert [mixture.speakers for mixture in mixtures] == [item["speakers"] for item in items]
    unseen = {speaker for speaker, _ in speech.utterances[Split.TEST_UNSEEN]}
    assert {speaker for mixture in mixtures_to_judge(speech, options, "unseen") for speaker in mixture.speakers} <= unseen
    everyone = SetOptions(RATE, 60, max_seconds=0.2)
    heard = {speaker for mixture in mixtures_to_judge(speech, everyone, "all") for speaker in mixture.speakers}
    assert heard & unseen and heard - unseen
    with pytest.raises(UserError, match=r"unknown choice of people 'everyone'.*all, test, unseen"):
        mixtures_to_judge(speech, options, "everyone")


@pytest.mark.parametrize("kind", ["float", "runtime-filter", "c23"])  # the last is a recipe's former name
def test_the_command_judges_either_kind_of_weights(kind: str, tmp_path: Path) -> None:
    spec, weights = tiny_spec(), tmp_path / f"{kind}.safetensors"
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(json.loads(spec.model_dump_json())))
    if kind == "float":
        network = tiny_network(spec).eval()
        save_network(network, weights, {"model": "tiny"})
    else:
        network = quantized_network(spec, Recipe("vanilla", "runtime-filter"))
        save_network(network, weights, {"model": "tiny", "variant": "vanilla", "norm": kind})
    asked = ["--model", str(tmp_path / "tiny.yaml"), "--data", "embedded", "--people", "unseen", "--n", "3", "--seconds", "0.3"]
    done = CliRunner().invoke(app, [str(weights), *asked, "--out", str(tmp_path / "figures.json")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "figures.json").read_text())
    speech = open_speech("embedded", RATE)
    expected = [
        improvement(network, spec, mixture) for mixture in mixtures_to_judge(speech, SetOptions(RATE, 3, max_seconds=0.3), "unseen")
    ]
    assert found["mean"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert found["mixtures"] == 3 and f"{found['mean']:.2f} dB SI-SDR improvement" in done.output
    with torch.no_grad():
        assert torch.equal(load_any(spec, weights)(torch.ones(1, 800) / 4), network(torch.ones(1, 800) / 4))


def test_music_is_refused(tmp_path: Path) -> None:
    (tmp_path / "music.yaml").write_text(yaml.safe_dump(json.loads(tiny_music_spec().model_dump_json())))
    done = CliRunner().invoke(app, ["weights.safetensors", "--model", str(tmp_path / "music.yaml")])
    assert isinstance(done.exception, UserError) and "network of music" in str(done.exception)
