"""The file alone beside the file with its input contract kept, and the gate on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import validation.input_contract as module
from tests.validation.gates.judging import judge
from tests.validation.synthetic import RATE, make_item
from validation.bootstrap import Interval
from validation.evaluation_set import Item
from validation.gates.input_contract import InputContract
from validation.input_contract import CONDITIONS, Contract, ContractPoint, at_peak, contract_of

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
    contract = contract_of(Path("m.tflite"), "any", [make_item(seed) for seed in range(3)], RATE)
    assert contract is not None
    points = contract.points
    assert [(point.peak_dbfs, point.constant, point.n) for point in points] == [(*condition, 3) for condition in CONDITIONS]
    kept = [point.kept for point in points]
    assert contract.spread == pytest.approx(max(kept) - min(kept)) and contract.spread < 0.05
    assert contract.interval.low <= contract.spread <= contract.interval.high
    assert points[3].alone < points[0].alone - 1, "at -38 dBFS the peak is below one step"
    assert max(map(abs, runtime.means)) > 0.019, "alone, the constant reaches the file"


def test_a_source_that_begins_silent_is_left_out(runtime: CoarseRuntime) -> None:
    item = make_item(0)
    late = item.sources.copy()
    late[1, :SAMPLES] = 0
    silent = Item("late", "seen", None, late.sum(axis=0, dtype=np.int16), late)
    contract = contract_of(Path("m.tflite"), "any", [item, silent], RATE)
    assert contract is not None and {point.n for point in contract.points} == {1}
    assert contract_of(Path("m.tflite"), "any", [silent], RATE) is None


def test_what_is_known_of_the_first_mixtures_is_not_measured_on_more(runtime: CoarseRuntime) -> None:
    """The coarse separator gives the same at every level, so 16 of 40 mixtures tell; alone they are judged once in each condition."""
    items = [make_item(seed) for seed in range(40)]
    contract = contract_of(Path("m.tflite"), "any", items, RATE, workers=1)
    assert contract is not None and {point.n for point in contract.points} == {16}
    assert len(runtime.means) == 2 * 16 * len(CONDITIONS)


def test_the_interval_of_the_spread_is_that_of_mixtures_drawn_for_all_conditions_at_once() -> None:
    """An offset that all conditions share is no spread; one condition 1 dB above the others by chance of half of the mixtures is."""
    shared = np.tile(np.random.default_rng(0).normal(0, 5, 40), (5, 1))
    assert module._spread_interval(shared).high == pytest.approx(0, abs=1e-9)
    noise = shared + np.random.default_rng(1).normal(0, 0.5, shared.shape)
    noise_interval = module._spread_interval(noise)
    assert noise_interval.low <= np.ptp(noise.mean(axis=1)) <= noise_interval.high, "noise alone does not lift it"
    shared[2, ::2] += 2.0
    interval = module._spread_interval(shared)
    reach = 1.96 / np.sqrt(40)
    assert (interval.low, interval.high) == pytest.approx((1 - reach, 1 + reach), abs=0.06)


def _contract(spread: float, low: float, high: float, n: int = 96) -> Contract:
    point = ContractPoint(peak_dbfs=-8.0, constant=0.0, runtime="r", n=n, alone=-7.0, kept=6.0)
    return Contract(points=[point], spread=spread, interval=Interval(low=low, high=high))


@pytest.mark.parametrize(
    ("contract", "state"),
    [
        (_contract(0.19, 0.1, 0.2), "passed"),
        (_contract(0.19, 0.1, 0.21), "undecided"),
        (_contract(0.21, 0.1, 0.3), "undecided"),
        (_contract(0.21, 0.1, 0.3, n=100), "failed"),
        (_contract(0.25, 0.21, 0.3), "failed"),
        (_contract(float("inf"), 0.0, 0.0), "failed"),
        (None, "failed"),
    ],
)
def test_the_improvements_must_be_alike(contract: Contract | None, state: str) -> None:
    assert judge(InputContract, contract).state == state
