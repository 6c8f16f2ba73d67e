"""What quantization-aware training does, in which order, with what. Each step is tested by itself; here, that none is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from export_specs.method import Method
from export_specs.schema import ModelSpec
from pipeline.layers.decoder.quantized import ByteDecoder, ReconstructingDecoder
from pipeline.losses.objective import SPEECH
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.quantize import Recipe, range_parameters
from pipeline.training import qat
from pipeline.training.qat import CORRECTED_BATCHES, FITTED_BATCHES, LEVEL_BATCHES, load_quantized, output_level, train_quantized
from tests.tiny import tiny_music_spec, tiny_spec, write_tracks
from tests.training.runs import Files, float_weights

Calls = list[tuple[str, tuple[Any, ...]]]
STEPS = (
    "match_output_level",
    "quantize",
    "observe",
    "equalize_features",
    "fit_ranges",
    "correct_biases",
    "fit",
    "scale_output",
    "freeze_statistics",
    "avoid_ties",
    "save_network",
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The steps as they are taken, with their arguments; every one does what it always does."""
    found: Calls = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            found.append((name, arguments))
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)
    for name in STEPS:
        if name != "scale_output":
            monkeypatch.setattr(qat, name, noted(name, getattr(qat, name)))
    for decoder in (ReconstructingDecoder, ByteDecoder):
        monkeypatch.setattr(decoder, "scale_output", noted("scale_output", decoder.scale_output))
    return found


def train(spec: ModelSpec, variant: str, profile: str, files: Files, folder: Path) -> Path:
    recipe = Recipe(variant, "scalar-gain")  # type: ignore[arg-type]
    return train_quantized(spec, recipe, spec.profiles[profile], float_weights(spec, folder), files, files, folder)  # type: ignore[index]


@pytest.mark.parametrize("variant", ["fqss", "vanilla"])
def test_of_speech_every_step_is_taken(variant: str, calls: Calls, speech: Files, tmp_path: Path) -> None:
    train(tiny_spec(), variant, "quick", speech, tmp_path)
    assert tuple(name for name, _ in calls) == STEPS


def test_post_training_quantization_trains_nothing_and_leaves_the_level(calls: Calls, speech: Files, tmp_path: Path) -> None:
    train(tiny_spec(), "fqss", "ptq", speech, tmp_path)
    assert tuple(name for name, _ in calls) == tuple(step for step in STEPS if step not in ("fit", "scale_output"))


def test_of_music_the_level_is_left_alone(calls: Calls, tmp_path: Path) -> None:
    write_tracks(tmp_path / "tree", ["train/a", "train/b"], seconds=0.1)
    files = [(path.name, path) for path in sorted((tmp_path / "tree" / "train").iterdir())]
    train(tiny_music_spec(), "fqss", "quick", files, tmp_path)
    assert tuple(name for name, _ in calls) == tuple(step for step in STEPS if step not in ("match_output_level", "scale_output"))


def test_one_network_goes_through_all_steps_and_is_what_is_saved(calls: Calls, speech: Files, tmp_path: Path) -> None:
    train(tiny_spec(), "fqss", "quick", speech, tmp_path)
    taken = dict(calls)
    student: nn.Module = taken["save_network"][0]
    assert all(taken[step][0] is student for step in ("observe", "fit_ranges", "correct_biases", "freeze_statistics", "avoid_ties"))
    assert taken["fit"][0].network is student
    assert taken["freeze_statistics"][1] is True
    assert len(taken["observe"][1]) == 9
    assert len(taken["fit_ranges"][1]) == FITTED_BATCHES
    assert all(torch.equal(one, other) for one, other in zip(taken["fit_ranges"][1], taken["observe"][1], strict=False))
    assert torch.equal(taken["correct_biases"][1], torch.cat(taken["observe"][1][:CORRECTED_BATCHES]))
    assert len(taken["match_output_level"][1]) == 2 * LEVEL_BATCHES  # of two examples each


@pytest.mark.parametrize(("variant", "distilled"), [("fqss", True), ("vanilla", False)])
def test_fqss_has_the_float_network_for_a_teacher(variant: str, distilled: bool, calls: Calls, speech: Files, tmp_path: Path) -> None:
    train(tiny_spec(), variant, "quick", speech, tmp_path)
    taken = dict(calls)
    task = taken["fit"][0]
    assert (task.teacher is not None) is distilled
    assert task.objective is SPEECH
    if distilled:
        assert task.teacher[0] is taken["match_output_level"][0] is taken["quantize"][0]


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"calibration": "min-max"}, ("equalize_features", "fit_ranges", "correct_biases")),
        ({"ranges": "frozen"}, ()),
        ({"kd_lambda": 0.0}, ()),
    ],
    ids=str,
)
def test_training_follows_its_method(
    changes: dict[str, Any], left_out: tuple[str, ...], calls: Calls, speech: Files, tmp_path: Path
) -> None:
    spec, recipe = tiny_spec(), Recipe("fqss", "scalar-gain", Method(**changes))
    path = train_quantized(spec, recipe, spec.profiles["quick"], float_weights(spec, tmp_path), speech, speech, tmp_path)
    assert tuple(name for name, _ in calls) == tuple(step for step in STEPS if step not in left_out)
    task = dict(calls)["fit"][0]
    assert task.method == recipe.method
    assert (task.teacher is None) is ("kd_lambda" in changes)
    ranges = range_parameters(task.network)
    learned = [parameter for parameter in task.network.parameters() if id(parameter) in ranges and parameter.requires_grad]
    assert bool(learned) is ("ranges" not in changes)
    with safe_open(path, "pt") as stream:
        assert Method.model_validate_json(stream.metadata()["changed"]) == recipe.method


def test_another_seed_gives_other_examples(calls: Calls, speech: Files, tmp_path: Path) -> None:
    spec = tiny_spec()
    profile = spec.profiles["quick"].model_copy(update={"seed": 5})
    spec = spec.model_copy(update={"profiles": {**spec.profiles, "quick": profile}})
    train(spec, "vanilla", "quick", speech, tmp_path)
    assert dict(calls)["fit"][1].train.seed == spec.training.seed + 7


def test_training_follows_its_profile(calls: Calls, speech: Files, tmp_path: Path) -> None:
    spec = tiny_spec()
    profile = spec.profiles["quick"].model_copy(update={"steps": 3, "batch_size": 3, "learning_rate": 0.02, "segment_seconds": 0.05})
    spec = spec.model_copy(update={"profiles": {**spec.profiles, "quick": profile}})
    train(spec, "fqss", "quick", speech, tmp_path)
    task, data, folder = dict(calls)["fit"]
    training = task.training_spec
    assert (training.steps, training.batch_size, training.learning_rate, training.segment_seconds) == (3, 3, 0.02, 0.05)
    assert (training.cooldown_steps, training.epoch_steps, training.seed) == (1, 3, spec.training.seed + 2)
    assert (data.batch_size, len(data.train)) == (3, 9)
    assert data.train.augmented is not None and data.validation.augmented is None
    assert data.train.segment_samples == data.validation.segment_samples == 400
    assert data.train.seed == spec.training.seed + 2 and data.validation.seed == spec.training.seed + 3
    assert folder == tmp_path


def test_what_is_saved_is_at_the_level_of_the_sources(calls: Calls, speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a training that triples the level, as training with SI-SDR may: measured on the examples that were observed.

    The plain decoder: the weights of the one with the residue have a smallest scale, and random networks want less than that.
    """
    trained = qat.fit

    def fit_louder(task: Any, *rest: Any) -> int:
        steps = trained(task, *rest)
        next(layer for layer in task.network.modules() if isinstance(layer, ByteDecoder)).scale_output(3.0)
        return steps

    monkeypatch.setattr(qat, "fit", fit_louder)
    spec = tiny_spec()
    path = train(spec, "vanilla", "quick", speech, tmp_path)
    level = dict(calls)["match_output_level"][1:]
    assert output_level(load_quantized(spec, Recipe("vanilla", "scalar-gain"), path), *level) == pytest.approx(1, abs=0.1)


def test_ranges_are_those_of_the_least_error(calls: Calls, speech: Files, tmp_path: Path) -> None:
    """And not the extremes that were observed: some range is another."""
    spec = tiny_spec()
    fitted = load_quantized(spec, Recipe("fqss", "scalar-gain"), train(spec, "fqss", "ptq", speech, tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qat, "fit_ranges", lambda *_: None)
        observed = load_quantized(spec, Recipe("fqss", "scalar-gain"), train(spec, "fqss", "ptq", speech, tmp_path))
    pairs = [
        (float((one.maximum - one.minimum).detach()), float((other.maximum - other.minimum).detach()))
        for one, other in zip(fitted.modules(), observed.modules(), strict=True)
        if isinstance(one, ActivationQuantizer) and isinstance(other, ActivationQuantizer)
    ]
    assert any(abs(one - other) > 0.01 * other for one, other in pairs)
