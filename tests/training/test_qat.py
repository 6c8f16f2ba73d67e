"""A tiny network is quantized, by observation alone and by training: saved as it was made, resumed exactly, its teacher left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from export_specs.foundation.errors import UserError
from export_specs.schema import ModelSpec
from pipeline.losses.si_sdr import si_sdr
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.recipe import Recipe
from pipeline.training import qat
from pipeline.training.qat import RANGE_RATE, QuantizedTask, grouped_by_rate, load_quantized, match_output_level, train_quantized
from tests.tiny import RECIPES, quantized_network, recipe_name, tiny_dptnet, tiny_network, tiny_sepformer, tiny_spec, waveforms
from tests.training.runs import Files, KilledError, float_weights, killed_at, same_state


def observe_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)


@pytest.mark.parametrize("recipe", RECIPES, ids=recipe_name)
def test_post_training_quantization_saves_what_it_made(
    recipe: Recipe, speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read back, the network gives the same bits as the one that was saved."""
    observe_briefly(monkeypatch)
    spec = tiny_spec()
    kept: list[nn.Module] = []
    original = qat.save_network
    monkeypatch.setattr(qat, "save_network", lambda network, *rest: (kept.append(network), original(network, *rest)))
    path = train_quantized(spec, recipe, spec.profiles["ptq"], float_weights(spec, tmp_path), speech, speech, tmp_path)
    assert path == tmp_path / "quantized.safetensors"
    with safe_open(path, "pt") as stream:
        assert stream.metadata() == {"model": "tiny", "variant": recipe.variant, "norm": recipe.norm, "observed_batches": "9"}
    mixture = waveforms(2, spec.segment_samples)
    with torch.no_grad():
        expected = kept[0].eval()(mixture)
        assert torch.equal(load_quantized(spec, recipe, path)(mixture), expected)
    assert not list(tmp_path.glob("*.ckpt"))


def test_post_training_quantization_changes_biases_alone(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observe_briefly(monkeypatch)
    spec = tiny_spec()
    weights = float_weights(spec, tmp_path)
    path = train_quantized(spec, Recipe("fqss", "runtime-filter"), spec.profiles["ptq"], weights, speech, speech, tmp_path)
    before, after = load_file(weights), load_file(path)
    shared = [name for name in before if name in after]
    assert len(shared) > 20
    for name in shared:  # a bias of a convolution takes up what its channels have lost in the mean
        assert torch.equal(before[name], after[name]) or (name.endswith(".bias") and before[name].dtype == torch.float32), name
        torch.testing.assert_close(before[name], after[name], rtol=0.1, atol=0.1, msg=name)


@pytest.mark.parametrize("spec", [tiny_sepformer(), tiny_dptnet()], ids=lambda spec: spec.architecture)
def test_dual_path_networks_are_trained_with_all_their_ranges(
    spec: ModelSpec, speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe_briefly(monkeypatch)
    recipe = Recipe("fqss", "scalar-gain")
    paths = {
        name: train_quantized(spec, recipe, spec.profiles[name], float_weights(spec, tmp_path), speech, speech, tmp_path / name)
        for name in ("ptq", "quick")
    }
    networks = {name: load_quantized(spec, recipe, path) for name, path in paths.items()}
    before, after = (dict(network.named_parameters()) for network in networks.values())
    still = [name for name, value in before.items() if value.requires_grad and torch.equal(value, after[name])]
    assert not still
    with torch.no_grad():
        outputs = [network(waveforms(2, spec.segment_samples)) for network in networks.values()]
    assert all(output.isfinite().all() for output in outputs)


@pytest.mark.parametrize("recipe", [Recipe("fqss", "scalar-gain"), Recipe("vanilla", "int16-elementwise")], ids=recipe_name)
def test_quantization_aware_training_resumes_exactly(
    recipe: Recipe, speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe_briefly(monkeypatch)
    monkeypatch.setattr(qat, "min", lambda *_: 3, raising=False)  # epochs of three steps
    spec = tiny_spec(qat_steps=12)
    weights = float_weights(spec, tmp_path)

    def run(name: str) -> Path:
        return train_quantized(spec, recipe, spec.profiles["quick"], weights, speech, speech, tmp_path / name)

    straight = run("straight")
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, 7)
        with pytest.raises(KilledError):
            run("killed")
    same_state(straight, run("killed"))
    checkpoint = torch.load(tmp_path / "killed" / "last.ckpt", weights_only=True)
    assert checkpoint["observed_batches"] == 9
    state = load_file(straight)
    ptq = load_file(train_quantized(spec, recipe, spec.profiles["ptq"], weights, speech, speech, tmp_path / "ptq"))
    moved = [name for name, value in state.items() if not torch.equal(value, ptq[name])]
    assert any(name.endswith("quantizer.maximum") for name in moved)  # ranges are learned
    assert any(name.endswith("weight_quantizer.range") for name in moved)
    assert not any(key.startswith("teacher") for key in checkpoint["state_dict"])


def test_a_student_goes_on_from_where_another_training_has_ended(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a step it is that network; with a step it moves by a step, and not from the teacher's observed ranges."""
    observe_briefly(monkeypatch)
    spec, recipe = tiny_spec(qat_steps=12), Recipe("fqss", "scalar-gain")
    weights, quick = float_weights(spec, tmp_path), spec.profiles["quick"]
    first = train_quantized(spec, recipe, quick, weights, speech, speech, tmp_path / "first")
    kept = train_quantized(spec, recipe, spec.profiles["ptq"], weights, speech, speech, tmp_path / "kept", start=first)
    same_state(first, kept)
    one_step = quick.model_copy(update={"steps": 1, "learning_rate": 1e-6})
    state, moved, anew = (
        load_file(path)
        for path in (
            first,
            train_quantized(spec, recipe, one_step, weights, speech, speech, tmp_path / "moved", start=first),
            train_quantized(spec, recipe, one_step, weights, speech, speech, tmp_path / "anew"),
        )
    )
    ranges = [name for name in state if name.endswith("quantizer.maximum") and not name.startswith("decoder")]
    distance = [sum(float((other[name] - state[name]).abs().sum()) for name in ranges) for other in (moved, anew)]
    assert 0 < distance[0] < 0.2 * distance[1]


def test_the_student_can_be_an_average_of_its_steps(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights and ranges lie between those that it starts from and those that it ends with."""
    observe_briefly(monkeypatch)
    spec, recipe = tiny_spec(qat_steps=4), Recipe("fqss", "scalar-gain")
    weights = float_weights(spec, tmp_path)

    def trained(name: str, decay: float) -> dict[str, torch.Tensor]:
        profile = spec.profiles["quick"].model_copy(update={"average_decay": decay, "learning_rate": 1e-3})
        return load_file(train_quantized(spec, recipe, profile, weights, speech, speech, tmp_path / name))

    plain, averaged = trained("plain", 0.0), trained("averaged", 0.9)
    start = load_file(train_quantized(spec, recipe, spec.profiles["ptq"], weights, speech, speech, tmp_path / "ptq"))
    names = [
        name
        for name in plain
        if not name.startswith("decoder") and name.endswith(("maximum", "minimum", "range")) and not torch.equal(plain[name], start[name])
    ]  # the decoder is brought to the sources' level afterwards
    assert len(names) > 20
    moved = [sum(float((state[name] - start[name]).abs().sum()) for name in names) for state in (averaged, plain)]
    assert 0 < moved[0] < 0.8 * moved[1]


def test_ranges_move_in_proportion_to_their_size() -> None:
    """A range of 1,500 and one of 0.01 move by about the same share of themselves a step; all else at the learning rate."""
    network = quantized_network(tiny_spec(), RECIPES[0])
    quantizer = network.get_submodule("encoder.output_quantizer")
    assert isinstance(quantizer, ActivationQuantizer)
    with torch.no_grad():
        quantizer.minimum.fill_(-0.01)
        quantizer.maximum.fill_(1500.0)
    rates = {parameter: group["lr"] for group in grouped_by_rate(network, 1e-4) for parameter in group["params"]}
    names = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert set(rates) == set(names.values())
    for name, parameter in names.items():
        size = float(parameter.detach().abs().mean())
        if not name.endswith(("minimum", "maximum", "range")):
            assert rates[parameter] == 1e-4, name
        elif size > 1e-3:
            assert 1 / 1.42 < rates[parameter] / (RANGE_RATE * 1e-4 * size) < 1.42, name
    assert rates[quantizer.maximum] > 1e4 * rates[quantizer.minimum]


def test_the_teacher_is_frozen_and_in_eval() -> None:
    spec = tiny_spec()
    student, model = tiny_network(spec), tiny_network(spec, 1)
    task = QuantizedTask(student, spec.training, False, model.train())
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    sources = waveforms(4, 800).view(2, 2, 800) / 2
    task.loss(sources.sum(1), sources).mean().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert {name for name, _ in task.named_parameters()} == {f"network.{name}" for name, _ in student.named_parameters()}


def test_the_output_level_is_matched() -> None:
    """A network whose output is a third of the sources' level is brought up threefold."""
    spec = tiny_spec()
    network = tiny_network(spec).eval()
    mixture = waveforms(3, 800)
    with torch.no_grad():
        sources = 3 * network(mixture)
        factor = match_output_level(network, mixture, sources)
        assert factor == pytest.approx(3, rel=1e-3)
        torch.testing.assert_close(network(mixture), sources, rtol=1e-3, atol=1e-4)
        assert float(si_sdr(network(mixture), sources).min()) > 60


@pytest.mark.parametrize("fault", ["shape", "missing", "recipe", "nan", "truncated"])
def test_a_checkpoint_that_does_not_fit_is_refused(fault: str, speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observe_briefly(monkeypatch)
    spec, recipe = tiny_spec(), Recipe("fqss", "runtime-filter")
    path = train_quantized(spec, recipe, spec.profiles["ptq"], float_weights(spec, tmp_path), speech, speech, tmp_path)
    state = load_file(path)
    key = "masker.TCN.0.res_conv.weight"
    if fault == "shape":
        spec, named = tiny_spec(hid_chan=28), "masker.TCN.0"
    elif fault == "recipe":
        recipe, named = Recipe("vanilla", "runtime-filter"), "decoder.output_quantizer"
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
        named = str(path)
    else:
        named = key
        state[key][:] = float("nan")
        if fault == "missing":
            del state[key]
        save_file(state, path)
    with pytest.raises(UserError, match=named.replace(".", r"\.")):
        load_quantized(spec, recipe, path)


def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_trained(speech: Files, tmp_path: Path) -> None:
    weights = float_weights(tiny_spec(bn_chan=8), tmp_path)
    spec = tiny_spec()
    with pytest.raises(UserError, match=r"masker\.TCN\.0\.res_conv"):
        train_quantized(spec, RECIPES[0], spec.profiles["quick"], weights, speech, speech, tmp_path / "out")
    assert not (tmp_path / "out").exists()
