"""A tiny network is trained for a few steps: resumed exactly, cooled down, clipped, and shipped as it was trained."""

from __future__ import annotations

import csv
import errno
import logging
import signal
import warnings
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from export_specs.errors import UserError
from export_specs.schema import ModelSpec
from pipeline.data import utterances
from pipeline.losses.si_sdr import si_sdr
from pipeline.models.build import build_network
from pipeline.models.checkpoint import save_network
from pipeline.quantization.attach import Recipe
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.training import loop, qat, teacher
from pipeline.training.loop import SeparationTask
from pipeline.training.qat import RANGE_RATE, QuantizedTask, grouped_by_rate, load_quantized, match_output_level, train_quantized
from pipeline.training.teacher import train_teacher
from tests.tiny import RECIPES, quantized_network, recipe_name, tiny_network, tiny_spec, waveforms, write_speech

Files = list[tuple[str, Path]]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled network, no progress bar, four validation mixtures and three observed batches."""
    monkeypatch.setattr(teacher, "compiler_available", lambda: False)
    monkeypatch.setattr(loop, "RichProgressBar", lambda **_: lightning.Callback())
    monkeypatch.setattr(teacher, "VALIDATION_MIXTURES", 4)
    monkeypatch.setattr(qat, "VALIDATION_MIXTURES", 4)


class KilledError(RuntimeError):
    pass


def observe_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, death: type[BaseException] = KilledError) -> pytest.MonkeyPatch:
    """The process dies when it is about to take a step."""
    original = SeparationTask.training_step

    def training_step(task: SeparationTask, batch: Any, index: int) -> Any:
        if task.global_step == step:
            raise death
        return original(task, batch, index)

    monkeypatch.setattr(SeparationTask, "training_step", training_step)
    return monkeypatch


def curve(folder: Path) -> list[dict[str, str]]:
    """Its rows without the training loss, which is that of the epoch before and so unknown in the first one after a start."""
    with (folder / "curve.csv").open() as stream:
        return [{name: value for name, value in row.items() if name != "train_loss"} for row in csv.DictReader(stream)]


def same_state(first: Path, second: Path) -> None:
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_teacher_is_trained(speech: Files, tmp_path: Path) -> None:
    spec = tiny_spec(steps=40, epoch_steps=20)
    weights = train_teacher(spec, speech, speech, tmp_path, 0, 1)
    rows = curve(tmp_path)
    assert [row["step"] for row in rows] == ["20", "40"]
    assert float(rows[1]["val_loss"]) < float(rows[0]["val_loss"])
    assert weights == tmp_path / "float.safetensors"
    with safe_open(weights, "pt") as stream:
        assert stream.metadata() == {"model": "tiny", "step": "40"}
    assert set(load_file(weights)) == set(build_network(spec).state_dict())


def test_the_same_network_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    """Digests of checkpoints key the stages and stand in the exported files."""
    metadata = {name: name.upper() for name in ("model", "variant", "norm", "observed_batches", "step")}
    for copy in range(4):
        save_network(tiny_network(tiny_spec()), tmp_path / f"{copy}.safetensors", metadata)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    with safe_open(tmp_path / "0.safetensors", "pt") as stream:
        assert stream.metadata() == metadata
    assert load_file(tmp_path / "0.safetensors").keys() == build_network(tiny_spec()).state_dict().keys()


def test_training_is_deterministic(speech: Files, tmp_path: Path) -> None:
    paths = [train_teacher(tiny_spec(), speech, speech, tmp_path / name, 0, 1) for name in "ab"]
    same_state(*paths)


@pytest.mark.parametrize("step", [6, 7])
def test_a_killed_run_goes_on_exactly(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Killed at the start and in the middle of the third epoch of four; the cooldown starts in the third."""
    spec = tiny_spec(steps=12, epoch_steps=3, cooldown_steps=5)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0, 1)
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, step)
        with pytest.raises(KilledError):
            train_teacher(spec, speech, speech, tmp_path / "killed", 0, 1)
    assert not (tmp_path / "killed" / "float.safetensors").exists()
    resumed = train_teacher(spec, speech, speech, tmp_path / "killed", 0, 1)
    same_state(straight, resumed)
    assert curve(tmp_path / "straight") == curve(tmp_path / "killed")


def test_ctrl_c_ends_a_fit_as_it_ends_everything_else(speech: Files, tmp_path: Path) -> None:
    """Lightning would make exit code 1 of it. The run goes on exactly."""
    spec = tiny_spec(steps=6, epoch_steps=2)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0, 1)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, 4, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train_teacher(spec, speech, speech, tmp_path / "killed", 0, 1)
    signal.signal(signal.SIGINT, handler)  # lightning has it ignored from then on
    assert (tmp_path / "killed" / "last.ckpt").exists()
    same_state(straight, train_teacher(spec, speech, speech, tmp_path / "killed", 0, 1))


def test_a_full_disk_leaves_the_checkpoint_before(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny_spec(steps=6, epoch_steps=2)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0, 1)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(".last") and (path.parent / "last.ckpt").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space") as failed:
            train_teacher(spec, speech, speech, tmp_path / "full", 0, 1)
    assert failed.value.filename.endswith("last.ckpt")
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["best.ckpt", "curve.csv", "last.ckpt"]
    same_state(straight, train_teacher(spec, speech, speech, tmp_path / "full", 0, 1))


def test_a_bad_file_is_told_in_one_line_by_a_process_that_mixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "SMALL_BYTES", 0)
    files = write_speech(tmp_path / "speech")
    good, bad = files[:-1], files[-1][1]
    soundfile.write(bad, np.zeros(8000), 8000)
    with pytest.raises(UserError, match=rf"^{bad} is silent; remove it from the data set$"):
        train_teacher(tiny_spec(steps=40, epoch_steps=20), files, good, tmp_path / "out", 1, 1)


def test_tips_and_known_warnings_are_silent(speech: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("lightning.pytorch").propagate = True
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        (tmp_path / "before").touch()
        train_teacher(tiny_spec(), speech, speech, tmp_path, 0, 1)
        warnings.warn("a real one", stacklevel=1)
    said = caplog.text + "".join(str(warning.message) for warning in warned)
    assert "litlogger" not in said and "LeafSpec" not in said and "not empty" not in said
    assert "a real one" in said and "max_steps=4" in said


def test_the_learning_rate_schedule_survives_a_kill(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is halved when the validation loss has not fallen; epochs before a kill count as they would have without it."""
    spec = tiny_spec(steps=10, epoch_steps=1)
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"plateau_patience": 1})})

    def worse_and_worse(task: SeparationTask, batch: Any, _: int) -> None:
        task.log("val_loss", torch.tensor(1.0 + task.global_step))

    monkeypatch.setattr(SeparationTask, "validation_step", worse_and_worse)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0, 1)
    for step in (2, 3, 5, 8):
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, step)
            with pytest.raises(KilledError):
                train_teacher(spec, speech, speech, tmp_path / "killed", 0, 1)
    resumed = train_teacher(spec, speech, speech, tmp_path / "killed", 0, 1)
    rates = [[row["learning_rate"] for row in curve(tmp_path / name)] for name in ("straight", "killed")]
    assert len(set(rates[0])) > 3
    assert rates[0] == rates[1]
    same_state(straight, resumed)


def test_a_finished_run_is_not_repeated(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train_teacher(tiny_spec(), speech, speech, tmp_path, 0, 1)
    before = load_file(first)
    for step in range(5):
        killed_at(monkeypatch, step)
    after = load_file(train_teacher(tiny_spec(), speech, speech, tmp_path, 0, 1))
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_rate_falls_linearly_to_zero_in_the_cooldown(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    original = SeparationTask.training_step

    def training_step(task: SeparationTask, batch: Any, index: int) -> Any:
        rates.append(task.trainer.optimizers[0].param_groups[0]["lr"])
        return original(task, batch, index)

    monkeypatch.setattr(SeparationTask, "training_step", training_step)
    train_teacher(tiny_spec(steps=12, epoch_steps=4, cooldown_steps=5), speech, speech, tmp_path, 0, 1)
    np.testing.assert_allclose(rates, [1e-3] * 8 + [1e-3 * left / 5 for left in (4, 3, 2, 1)], rtol=1e-6)


def test_gradients_are_clipped_by_their_norm(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny_spec()
    limit = 1e-3
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"gradient_clip": limit})})
    norms: list[float] = []

    original = torch.optim.Adam.step

    def step(optimizer: torch.optim.Adam, closure: Any = None) -> Any:
        def observed() -> Any:
            loss = closure()
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            norms.append(float(torch.stack([gradient.norm() for gradient in gradients]).norm()))
            return loss

        return original(optimizer, observed)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    train_teacher(spec, speech, speech, tmp_path, 0, 1)
    assert len(norms) == 4
    assert all(norm == pytest.approx(limit, rel=1e-3) for norm in norms)


def float_weights(spec: ModelSpec, folder: Path) -> Path:
    path = folder / "teacher.safetensors"
    save_network(tiny_network(spec), path, {})
    return path


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


def test_post_training_quantization_leaves_the_weights_alone(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observe_briefly(monkeypatch)
    spec = tiny_spec()
    weights = float_weights(spec, tmp_path)
    path = train_quantized(spec, Recipe("fqss", "c23"), spec.profiles["ptq"], weights, speech, speech, tmp_path)
    before, after = load_file(weights), load_file(path)
    shared = [name for name in before if name in after]
    assert len(shared) > 20
    for name in shared:
        assert torch.equal(before[name], after[name]), name


@pytest.mark.parametrize("recipe", [Recipe("fqss", "c25"), Recipe("vanilla", "b14")], ids=recipe_name)
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


def test_training_goes_on_from_given_weights(speech: Files, tmp_path: Path) -> None:
    spec = tiny_spec(steps=1, epoch_steps=1)
    gentle = spec.model_copy(update={"training": spec.training.model_copy(update={"learning_rate": 1e-9})})
    start = float_weights(spec, tmp_path)
    state, before = load_file(train_teacher(gentle, speech, speech, tmp_path / "run", 0, 1, start)), load_file(start)
    for name, value in state.items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0)
    other = tiny_spec(n_filters=32)
    with pytest.raises(UserError, match="encoder"):
        train_teacher(other, speech, speech, tmp_path / "other", 0, 1, start)


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
    spec, recipe = tiny_spec(), Recipe("fqss", "c23")
    path = train_quantized(spec, recipe, spec.profiles["ptq"], float_weights(spec, tmp_path), speech, speech, tmp_path)
    state = load_file(path)
    key = "masker.TCN.0.res_conv.weight"
    if fault == "shape":
        spec, named = tiny_spec(hid_chan=28), "masker.TCN.0"
    elif fault == "recipe":
        recipe, named = Recipe("vanilla", "c23"), "decoder.analysis"
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
        named = str(path)
    else:
        named = key
        state[key][:] = float("nan")
        if fault == "missing":
            del state[key]
        from safetensors.torch import save_file

        save_file(state, path)
    with pytest.raises(UserError, match=named.replace(".", r"\.")):
        load_quantized(spec, recipe, path)


def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_trained(speech: Files, tmp_path: Path) -> None:
    weights = float_weights(tiny_spec(bn_chan=8), tmp_path)
    spec = tiny_spec()
    with pytest.raises(UserError, match=r"masker\.bottleneck"):
        train_quantized(spec, RECIPES[0], spec.profiles["quick"], weights, speech, speech, tmp_path / "out")
    assert not (tmp_path / "out").exists()
