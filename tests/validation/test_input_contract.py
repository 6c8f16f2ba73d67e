"""The file alone beside the file with its input contract kept, and the gate on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import validation.input_contract as module
from tests.validation.gates.judging import judge
from tests.validation.synthetic import RATE, make_item
from validation.evaluation_set import Item
from validation.gates.input_contract import InputContract
from validation.input_contract import CONDITIONS, ContractPoint, at_peak, contract_points

SAMPLES = RATE // 2


class CoarseRuntime:
    """Gives the mixture back in steps of 1/64 of full scale, as sources: what is soft is lost. Notes what constant it was given."""

    sample_rate, segment_samples, sources, source_names = RATE, SAMPLES, 2, ()

    def __init__(self) -> None:
        self.means: list[float] = []

    def run(self, pcm: np.ndarray) -> np.ndarray:
        self.means.append(float(pcm.mean()) / 32768)
        coarse = np.clip(np.rint(pcm / 512) * 512, -32768, 32767).astype(np.int16)
        return np.stack([coarse, coarse])


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> CoarseRuntime:
    coarse = CoarseRuntime()
    monkeypatch.setattr(module, "open_runtime", lambda path, name, sample_rate: coarse)
    return coarse


@pytest.mark.parametrize(("peak_dbfs", "constant"), CONDITIONS)
def test_the_peak_and_the_constant_are_those_asked_for(peak_dbfs: float, constant: float) -> None:
    mixture = make_item(3).mixture
    found = at_peak(mixture, peak_dbfs, constant).astype(np.float64) - constant * 32768
    assert 20 * np.log10(np.abs(found).max() / 32768) == pytest.approx(peak_dbfs, abs=0.02)
    assert np.corrcoef(found, mixture)[0, 1] > 0.9999


def test_alone_a_coarse_file_loses_what_is_soft_and_with_the_contract_it_does_not(runtime: CoarseRuntime) -> None:
    points = contract_points(Path("m.tflite"), "any", [make_item(seed) for seed in range(3)], RATE)
    assert [(point.peak_dbfs, point.constant, point.n) for point in points] == [(*condition, 3) for condition in CONDITIONS]
    kept = [point.kept for point in points]
    assert max(kept) - min(kept) < 0.05
    assert points[3].alone < points[0].alone - 1, "at -38 dBFS the peak is below one step"
    assert max(map(abs, runtime.means)) > 0.019, "alone, the constant reaches the file"


def test_a_source_that_begins_silent_is_left_out(runtime: CoarseRuntime) -> None:
    item = make_item(0)
    late = item.sources.copy()
    late[1, :SAMPLES] = 0
    silent = Item("late", "seen", None, late.sum(axis=0, dtype=np.int16), late)
    assert {point.n for point in contract_points(Path("m.tflite"), "any", [item, silent], RATE)} == {1}
    assert contract_points(Path("m.tflite"), "any", [silent], RATE) == []


def _points(*kept: float) -> list[ContractPoint]:
    return [ContractPoint(peak_dbfs=-8.0, constant=0.0, runtime="r", n=8, alone=-7.0, kept=value) for value in kept]


@pytest.mark.parametrize(
    ("kept", "state"), [((6.31, 6.5), "passed"), ((6.25, 6.5), "failed"), ((6.5, float("-inf")), "failed"), ((), "failed")]
)
def test_the_improvements_must_be_alike(kept: tuple[float, ...], state: str) -> None:
    assert judge(InputContract, _points(*kept)).state == state
