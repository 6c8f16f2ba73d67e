"""The two schedulers of the learning rate against its definition, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export_specs.schema import TrainingSpec
from pipeline.training.learning_rate import cooldown, plateau
from pipeline.training.loop import SeparationTask


def spec(**changes: int) -> TrainingSpec:
    sizes = {"steps": 10, "batch_size": 1, "learning_rate": 1.0, "segment_seconds": 1.0, "epoch_steps": 2}
    return TrainingSpec.model_validate({**sizes, **changes})


def optimizer(rate: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], rate)


@settings(deadline=None)
@given(st.integers(1, 40), st.data())
def test_the_cooldown_is_a_straight_line_to_zero(steps: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, steps))
    rate = optimizer(0.3)
    scheduler = cooldown(rate, spec(steps=steps, cooldown_steps=length))["scheduler"]
    taken = []
    for _ in range(steps + 1):
        taken.append(rate.param_groups[0]["lr"])
        rate.step()
        scheduler.step()
    expected = [0.3 * (1 - max(0, step - (steps - length)) / max(1, length)) for step in range(steps + 1)]
    np.testing.assert_allclose(taken, expected, rtol=1e-12, atol=1e-16)


def test_the_rate_is_halved_after_the_patience() -> None:
    rate = optimizer()
    config = plateau(rate, spec(plateau_patience=2))
    assert (config["interval"], config["frequency"], config["monitor"]) == ("step", 2, "val_loss")
    taken = []
    for loss in (5.0, 4.0, 4.0, 4.5, 4.0, 3.0, 3.0, 3.0, 3.0):
        config["scheduler"].step(loss)  # type: ignore[call-arg]
        taken.append(rate.param_groups[0]["lr"])
    assert taken == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("step", "counts"), [(5, True), (6, True), (7, False), (10, False)])
def test_the_plateau_counts_until_the_cooldown_begins(step: int, counts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    training = spec(cooldown_steps=4, plateau_patience=0)
    task = SeparationTask(torch.nn.Linear(1, 1), training, False)
    monkeypatch.setattr(SeparationTask, "global_step", step)
    rate = optimizer()
    scheduler = plateau(rate, training)["scheduler"]
    for loss in (1.0, 2.0):
        task.lr_scheduler_step(scheduler, loss)  # type: ignore[arg-type]
    assert rate.param_groups[0]["lr"] == (0.5 if counts else 1.0)
