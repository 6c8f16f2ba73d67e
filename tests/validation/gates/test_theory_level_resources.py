from __future__ import annotations

import math

import numpy as np
import pytest

from tests.validation.gates.judging import judge, judge_each
from validation.bootstrap import Interval
from validation.gates.arena import Arena
from validation.gates.file_size import FileSize, Size
from validation.gates.level import Level
from validation.gates.theory import Theory
from validation.level import LevelPoint
from validation.theory import EstimatePoint, predicted_loss


def points(sdr: float, sqnr: float, excess: float, n: int, deviation: float = 0.02) -> list[EstimatePoint]:
    """Estimates that lose ``excess`` dB more than predicted, on average exactly."""
    noise = deviation * np.random.default_rng(0).standard_normal(n)
    lost = predicted_loss(sdr, sqnr) + excess + noise - noise.mean()
    return [
        EstimatePoint(id=f"i{k}", source=0, snr=0, sdr=sdr, sdr_quantized=sdr - float(loss), sqnr=sqnr, correlation=0.1)
        for k, loss in enumerate(lost)
    ]


@pytest.mark.parametrize(("excess", "state"), [(0.0, "passed"), (0.19, "passed"), (-0.19, "passed"), (0.21, "failed"), (-0.21, "failed")])
def test_loss_must_be_the_predicted_one_where_the_float_network_is_good(excess: float, state: str) -> None:
    result = judge(Theory, points(17, 27, excess, 30) + points(8, 20, 5.0, 50))
    assert (result.state, result.n) == (state, 30)
    assert result.observed == pytest.approx(abs(excess), abs=1e-6)
    assert "15 to 20 dB: observed" in result.note


def test_a_bin_of_fewer_than_thirty_is_undecided_or_joins_the_one_below() -> None:
    few = judge(Theory, points(17, 27, 3.0, 29))
    assert few.state == "undecided" and few.note.endswith(", 29 estimates, 30 are needed to decide")
    joined = judge(Theory, points(17, 27, 0.0, 40) + points(22, 27, 0.0, 6))
    assert joined.state == "passed" and joined.note.startswith("15 to 25 dB") and joined.n == 46
    assert joined.note.endswith(", 46 estimates")
    apart = judge(Theory, points(17, 27, 0.0, 40) + points(22, 27, 0.5, 30))
    assert apart.state == "failed" and "20 to 25 dB" in apart.note and apart.observed == pytest.approx(0.5)
    assert apart.n == 70, "all estimates, not the worst bin's"


def test_no_estimate_from_15_db_up_is_undecided_and_none_at_all_a_failure() -> None:
    result = judge(Theory, points(8, 20, 0.0, 400))
    assert (result.state, result.n, result.note) == ("undecided", 400, "no estimates above 15 dB")
    assert judge(Theory, []).state == "failed"
    assert judge(Theory, points(8, 20, 0.0, 400), least_sdr_db=5).state == "passed"
    assert judge(Theory, points(15, 27, 0.0, 30)).n == 30, "15 dB is from 15 dB up"


def test_a_perfect_float_estimate_is_no_fault_of_the_theory() -> None:
    perfect = EstimatePoint(id="p", source=0, snr=0, sdr=math.inf, sdr_quantized=20, sqnr=20, correlation=0)
    assert perfect.excess == 0
    assert judge(Theory, [perfect] * 30).state == "passed"


def point(change: float, low: float, high: float, n: int, softer_db: int = 20) -> LevelPoint:
    return LevelPoint(softer_db=softer_db, runtime="r", n=n, change=change, interval=Interval(low=low, high=high), worst=low)


@pytest.mark.parametrize(
    ("n", "change", "low", "high", "state"),
    [
        (24, -0.12, -0.2, -0.05, "undecided"),
        (24, 0.12, 0.05, 0.2, "undecided"),
        (24, -0.09, -0.2, 0.02, "undecided"),
        (24, -0.15, -0.2, -0.11, "failed"),  # all of the interval is beyond the limit
        (24, -0.05, -0.09, 0.02, "passed"),
        (200, -0.12, -0.2, -0.05, "failed"),  # enough mixtures: the mean counts
        (200, -0.09, -0.2, 0.02, "passed"),
    ],
)
def test_softer_recordings(n: int, change: float, low: float, high: float, state: str) -> None:
    levels = {result.id: result for result in judge_each(Level, [point(change, low, high, n)])}
    assert (levels["level.20"].state, levels["level.20"].observed) == (state, abs(change))
    interval = levels["level.20"].interval
    assert interval is not None and interval.low <= interval.high
    assert levels["level.20"].rule == "change of mean SI-SDR 20 dB softer, dB"
    missing = ("level.6", "level.12", "level.40")
    assert [levels[name].state for name in missing] == ["failed"] * 3, "a level that was not judged is no pass"


def test_bytes() -> None:
    for operators, allowance in ((10, 48 * 1024), (1000, 170_000)):
        limit = int(1.15 * 1000) + allowance
        assert judge(FileSize, Size(limit, 1000, operators)).state == "passed"
        assert judge(FileSize, Size(limit + 1, 1000, operators)).state == "failed"


def test_arena() -> None:
    assert judge(Arena, 1000, max_bytes=1000).state == "passed"
    assert judge(Arena, 1001, max_bytes=1000).state == "failed"
    assert judge(Arena, None, max_bytes=1000).state == "failed"
