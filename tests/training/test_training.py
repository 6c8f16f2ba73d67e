"""A tiny float network is trained for a few steps: resumed exactly, cooled down, clipped, and shipped as it was trained."""

from __future__ import annotations

import errno
import logging
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from export_specs.foundation.errors import Interruption, UserError, run_command_line
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import facts_of, save_network
from pipeline.data import utterances
from pipeline.networks.build import build_network
from pipeline.training.loop import SeparationTask
from pipeline.training.teacher import train_teacher
from tests.tiny import tiny_network, tiny_spec, write_speech
from tests.training.runs import Files, KilledError, curve, float_weights, killed_at, same_state


def test_a_teacher_is_trained(speech: Files, tmp_path: Path) -> None:
    spec = tiny_spec(steps=40, epoch_steps=20)
    weights = train_teacher(spec, speech, speech, tmp_path, 0)
    rows = curve(tmp_path)
    assert [row["step"] for row in rows] == ["20", "40"]
    assert float(rows[1]["val_loss"]) < float(rows[0]["val_loss"])
    assert weights == tmp_path / "float.safetensors"
    with safe_open(weights, "pt") as stream:
        assert stream.metadata() == {**facts_of(spec), "step": "40"}
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


@pytest.mark.parametrize("file", ["last.ckpt", "best.ckpt", "float.safetensors"])
def test_what_a_training_leaves_is_a_checkpoint(file: str, speech: Files, tmp_path: Path) -> None:
    """A training and quantization-aware training may start from it, also where the network was compiled and stands in it twice."""
    spec = tiny_spec(steps=4, epoch_steps=4)
    train_teacher(spec, speech, speech, tmp_path, 0)
    expected = load_file(tmp_path / "float.safetensors")
    for compiled in (False, True):
        if compiled and file.endswith("ckpt"):
            content = torch.load(tmp_path / file, weights_only=True)
            state = content["state_dict"]
            content["state_dict"] = {key.replace("run_network.", "run_network._orig_mod."): value for key, value in state.items()}
            assert content["state_dict"].keys() != state.keys()
            torch.save(content, tmp_path / file)
        network = build_network(spec)
        assert load_network(network, tmp_path / file, spec) == []
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_training_is_deterministic(speech: Files, tmp_path: Path) -> None:
    paths = [train_teacher(tiny_spec(), speech, speech, tmp_path / name, 0) for name in "ab"]
    same_state(*paths)


@pytest.mark.parametrize("step", [6, 7])
def test_a_killed_run_goes_on_exactly(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Killed at the start and in the middle of the third epoch of four; the cooldown starts in the third."""
    spec = tiny_spec(steps=12, epoch_steps=3, cooldown_steps=5)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0)
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, step)
        with pytest.raises(KilledError):
            train_teacher(spec, speech, speech, tmp_path / "killed", 0)
    assert not (tmp_path / "killed" / "float.safetensors").exists()
    resumed = train_teacher(spec, speech, speech, tmp_path / "killed", 0)
    same_state(straight, resumed)
    assert curve(tmp_path / "straight") == curve(tmp_path / "killed")


def send_and_drop(sent: signal.Signals) -> None:
    """A signal whose exception comes while a finalizer runs, which drops it."""
    with suppress(Interruption):
        signal.raise_signal(sent)


@pytest.mark.parametrize(
    ("send", "sent", "code"),
    [
        (signal.raise_signal, signal.SIGINT, 130),
        (signal.raise_signal, signal.SIGTERM, 143),
        (send_and_drop, signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_a_fit_as_it_ends_everything_else(
    send: Callable[[signal.Signals], None], sent: signal.Signals, code: int, speech: Files, tmp_path: Path
) -> None:
    """Lightning makes exit code 1 of a KeyboardInterrupt, and 0 of a SIGTERM, which it catches itself. The run goes on exactly."""
    spec = tiny_spec(steps=6, epoch_steps=2)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored
    try:
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, 4, lambda: send(sent))
            with pytest.raises(SystemExit) as ended:
                run_command_line(lambda: train_teacher(spec, speech, speech, tmp_path / "killed", 0))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert ended.value.code == code
    assert (tmp_path / "killed" / "last.ckpt").exists()
    same_state(straight, train_teacher(spec, speech, speech, tmp_path / "killed", 0))


def test_a_full_disk_leaves_the_checkpoint_before(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny_spec(steps=6, epoch_steps=2)
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(".last") and (path.parent / "last.ckpt").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space") as failed:
            train_teacher(spec, speech, speech, tmp_path / "full", 0)
    assert failed.value.filename.endswith("last.ckpt")
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["best.ckpt", "curve.csv", "last.ckpt"]
    same_state(straight, train_teacher(spec, speech, speech, tmp_path / "full", 0))


def test_a_bad_file_is_told_in_one_line_by_a_process_that_mixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "SMALL_BYTES", 0)
    files = write_speech(tmp_path / "speech")
    good, bad = files[:-1], files[-1][1]
    soundfile.write(bad, np.zeros(8000), 8000)
    with pytest.raises(UserError, match=rf"^{bad} is silent; remove it from the data set$"):
        train_teacher(tiny_spec(steps=40, epoch_steps=20), files, good, tmp_path / "out", 1)


def test_tips_and_known_warnings_are_silent(speech: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("lightning.pytorch").propagate = True
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        (tmp_path / "before").touch()
        train_teacher(tiny_spec(), speech, speech, tmp_path, 0)
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
    straight = train_teacher(spec, speech, speech, tmp_path / "straight", 0)
    for step in (2, 3, 5, 8):
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, step)
            with pytest.raises(KilledError):
                train_teacher(spec, speech, speech, tmp_path / "killed", 0)
    resumed = train_teacher(spec, speech, speech, tmp_path / "killed", 0)
    rates = [[row["learning_rate"] for row in curve(tmp_path / name)] for name in ("straight", "killed")]
    assert len(set(rates[0])) > 3
    assert rates[0] == rates[1]
    same_state(straight, resumed)


def test_the_result_is_the_epoch_with_the_lowest_loss(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the last one where all are as good."""
    spec = tiny_spec(steps=8, epoch_steps=2)
    losses = {2: 3.0, 4: 1.0, 6: 2.0, 8: 1.5}
    monkeypatch.setattr(SeparationTask, "validation_step", lambda task, *_: task.log("val_loss", torch.tensor(losses[task.global_step])))
    best = train_teacher(spec, speech, speech, tmp_path / "best", 0)
    with safe_open(best, "pt") as stream:
        assert stream.metadata()["step"] == "4"
    until_then = train_teacher(tiny_spec(steps=4, epoch_steps=2), speech, speech, tmp_path / "shorter", 0)
    same_state(best, until_then)
    losses = dict.fromkeys(losses, 1.0) | {8: 0.9}
    with safe_open(train_teacher(spec, speech, speech, tmp_path / "last", 0), "pt") as stream:
        assert stream.metadata()["step"] == "8"


def test_a_training_that_ends_before_it_is_validated_keeps_its_last_step(speech: Files, tmp_path: Path) -> None:
    with safe_open(train_teacher(tiny_spec(steps=3, epoch_steps=9), speech, speech, tmp_path / "never", 0), "pt") as stream:
        assert stream.metadata()["step"] == "3"
    with safe_open(train_teacher(tiny_spec(steps=5, epoch_steps=2), speech, speech, tmp_path / "within", 0), "pt") as stream:
        assert stream.metadata()["step"] == "5"


def averaged_spec(steps: int, decay: float) -> ModelSpec:
    spec = tiny_spec(steps=steps, epoch_steps=2)
    return spec.model_copy(update={"training": spec.training.model_copy(update={"average_decay": decay})})


def test_the_average_of_the_weights_is_the_result(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the weights after each step, written again in float64; a run that was killed gives the same, and so does one that had ended."""
    after: list[dict[str, torch.Tensor]] = []

    def kept(task: SeparationTask, *_: Any) -> None:
        after.append({name: value.detach().double().clone() for name, value in task.network.state_dict().items()})

    monkeypatch.setattr(SeparationTask, "on_train_batch_end", kept, raising=False)
    monkeypatch.setattr(SeparationTask, "validation_step", lambda task, *_: task.log("val_loss", torch.tensor(-float(task.global_step))))
    spec = averaged_spec(6, 0.6)
    result = load_file(train_teacher(spec, speech, speech, tmp_path / "straight", 0))
    assert len(after) == 6
    expected = after[0]
    for state in after[1:]:
        expected = {name: 0.6 * value + 0.4 * state[name] for name, value in expected.items()}
    for name, value in result.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert any(not torch.allclose(value.double(), after[-1][name], rtol=1e-5) for name, value in result.items())
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, 5)
        with pytest.raises(KilledError):
            train_teacher(spec, speech, speech, tmp_path / "killed", 0)
    for _ in range(2):
        same_state(tmp_path / "straight" / "float.safetensors", train_teacher(spec, speech, speech, tmp_path / "killed", 0))


def test_a_finished_run_is_not_repeated(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train_teacher(tiny_spec(), speech, speech, tmp_path, 0)
    before = load_file(first)
    for step in range(5):
        killed_at(monkeypatch, step)
    after = load_file(train_teacher(tiny_spec(), speech, speech, tmp_path, 0))
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_rate_falls_linearly_to_zero_in_the_cooldown(speech: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    original = SeparationTask.training_step

    def training_step(task: SeparationTask, batch: Any, index: int) -> Any:
        rates.append(task.trainer.optimizers[0].param_groups[0]["lr"])
        return original(task, batch, index)

    monkeypatch.setattr(SeparationTask, "training_step", training_step)
    train_teacher(tiny_spec(steps=12, epoch_steps=4, cooldown_steps=5), speech, speech, tmp_path, 0)
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
    train_teacher(spec, speech, speech, tmp_path, 0)
    assert len(norms) == 4
    assert all(norm == pytest.approx(limit, rel=1e-3) for norm in norms)


def test_training_goes_on_from_given_weights(speech: Files, tmp_path: Path) -> None:
    spec = tiny_spec(steps=1, epoch_steps=1)
    gentle = spec.model_copy(update={"training": spec.training.model_copy(update={"learning_rate": 1e-9})})
    start = float_weights(spec, tmp_path)
    state, before = load_file(train_teacher(gentle, speech, speech, tmp_path / "run", 0, start)), load_file(start)
    for name, value in state.items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0)
    other = tiny_spec(n_filters=32)
    with pytest.raises(UserError, match="encoder"):
        train_teacher(other, speech, speech, tmp_path / "other", 0, start)
