"""The gates of a streaming file pass on good evidence, fail on bad, and fail without any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.validation.gates.judging import judge, judge_each
from tests.validation.gates.test_structure import SOUND
from validation.gates.steps_exact import StepsExact
from validation.gates.steps_latency import Latency, StepsLatency
from validation.gates.steps_near import StepsNear
from validation.gates.steps_resources import StepsBytes, StepsResources
from validation.gates.steps_structure import StepsStructure
from validation.steps import Compared

EQUAL = Compared(samples=900, differing=0, signal=1e6, error=0.0, context=300)


def test_exact() -> None:
    assert judge(StepsExact, {"litert-ref": EQUAL, "tflm": EQUAL}).state == "passed"
    failed = judge(StepsExact, {"litert-ref": EQUAL, "tflm": replace(EQUAL, differing=1)})
    assert failed.state == "failed" and "tflm: 1 of 900 samples differ" in failed.note
    assert "899 samples are no 3 × 300" in judge(StepsExact, {"tflm": replace(EQUAL, samples=899)}).note
    assert judge(StepsExact, {}).state == "failed"


@pytest.mark.parametrize(("error", "state"), [(0.0, "passed"), (9e3, "passed"), (2e4, "failed")])
def test_near(error: float, state: str) -> None:
    assert judge(StepsNear, replace(EQUAL, error=error)).state == state
    assert judge(StepsNear, replace(EQUAL, error=error, samples=10)).state == "failed"
    assert judge(StepsNear, replace(EQUAL, error=error, signal=0.0)).state == "failed"


def test_latency() -> None:
    found = Latency(measured=80, stated=80, hop_frames=4, sample_rate=8000)
    assert judge(StepsLatency, found).state == judge(StepsLatency, replace(found, measured=64)).state == "passed"
    assert "10 ms" in judge(StepsLatency, found).note
    assert judge(StepsLatency, replace(found, measured=81)).state == "failed"


def test_structure() -> None:
    assert judge(StepsStructure, SOUND).state == "passed"
    for change in ({"float_tensors": ["x"]}, {"custom_ops": ["CUSTOM:x"]}, {"refused_ops": {"EXP": 2}}, {"ops": {}}):
        assert judge(StepsStructure, SOUND.model_copy(update=change)).state == "failed"


@pytest.mark.parametrize(("change", "states"), [
    ({}, ["passed", "passed"]),
    ({"states": 301}, ["failed", "passed"]),
    ({"file": 1101}, ["passed", "failed"]),
    ({"arena": None}, ["failed", "passed"]),
    ({"whole_arena": None}, ["failed", "passed"]),
])  # fmt: skip
def test_resources(change: dict[str, int | None], states: list[str]) -> None:
    found = replace(StepsBytes(arena=200, states=300, file=1100, whole_arena=1000, whole_file=1000), **change)  # type: ignore[arg-type]
    assert [result.state for result in judge_each(StepsResources, found)] == states
