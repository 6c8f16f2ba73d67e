"""What a training tells of itself while it runs."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from export_specs.foundation import progress
from pipeline.training.loop import Told


def test_a_training_tells_its_steps_and_goes_on_counting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    monkeypatch.setattr(progress, "_shown", progress._Lines())
    trainer = cast(Any, SimpleNamespace(is_global_zero=True, max_steps=600, global_step=120))
    told = Told()
    told.on_train_start(trainer, cast(Any, None))
    trainer.global_step = 121
    told.on_train_batch_end(trainer)
    time.sleep(0.15)
    told.on_train_end(trainer, cast(Any, None))
    assert "training, step, 121 of 600, " in capsys.readouterr().err
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_only_the_first_process_of_several_tells(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    monkeypatch.setattr(progress, "_shown", progress._Lines())
    trainer = cast(Any, SimpleNamespace(is_global_zero=False, max_steps=600, global_step=0))
    told = Told()
    told.on_train_start(trainer, cast(Any, None))
    told.on_train_batch_end(trainer)
    time.sleep(0.1)
    told.on_exception(trainer)
    assert capsys.readouterr().err == ""
