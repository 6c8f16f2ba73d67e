"""Loss of quality: measured as it was made, judged by bin, undecided where few mixtures leave it open."""

from __future__ import annotations

import numpy as np
import pytest

from tests.validation.gates.judging import judge
from tests.validation.synthetic import RATE, make_item, noisy
from validation.gates.mean_loss import MeanLoss
from validation.gates.order import Order, agreements
from validation.gates.stoi import Stoi, losses
from validation.gates.waveform import Waveform
from validation.gates.worst_loss import WorstLoss
from validation.ladder import StageResult, judge_stage, score_item
from validation.loss_limits import Losses, LossLimits
from validation.theory import predicted_loss


def results(loss_db: float, swap: bool = False) -> tuple[StageResult, StageResult]:
    """A float stage at 15 dB, and one at ``loss_db`` less."""
    reference, lossy = [], []
    for seed in range(6):
        item = make_item(seed, f"i{seed}")
        truth = item.sources / 32768
        error = noisy(item.sources, 15.5, seed + 50) - truth
        floating, result = truth + error, truth + error * 10 ** (loss_db / 20)
        reference.append(score_item(item, floating, floating, RATE))
        lossy.append(score_item(item, result[::-1] if swap and seed == 0 else result, floating, RATE))
    by_id = {score.id: score for score in reference}
    return judge_stage("float", reference, by_id, set_name="t"), judge_stage("int8", lossy, by_id, set_name="t")


def test_a_known_loss_is_measured_source_by_source() -> None:
    floating, lossy = results(0.2)
    found = Losses.of(lossy, floating, "source_si_sdr")
    assert found is not None and found.mixtures == 6
    assert found.loss == pytest.approx([0.2] * 12, abs=0.02)
    assert found.sdr == pytest.approx([15.5] * 12, abs=0.3)
    result = judge(MeanLoss, found, "quick")
    assert result.observed == pytest.approx(0.2, abs=0.01) and result.n == 12
    assert result.limit == pytest.approx(predicted_loss(17.5, 26), abs=1e-9)
    assert result.interval is not None and result.interval.low <= result.observed <= result.interval.high


def test_no_stage_is_no_evidence() -> None:
    floating, _ = results(0)
    for kind in (MeanLoss, WorstLoss):
        assert judge(kind, Losses.of(None, floating, "source_si_sdr")).state == "failed"
        assert judge(kind, Losses([], [], 0)).state == "failed"
    assert losses(None, floating) == [] and judge(Stoi, []).state == "failed"
    assert agreements(floating, None) == [] and judge(Order, []).state == "failed"


def test_limits_follow_the_theory() -> None:
    limits = LossLimits()
    assert limits.limit(22, "full") == predicted_loss(22.5, 28)
    assert limits.limit(7, "full") == predicted_loss(7.5, 7.5 + 16), "soft sources: noise 16 dB below the network's own errors"
    assert limits.limit(-40, "ptq") == predicted_loss(-12.5, -12.5 + 9)
    table = [[limits.limit(sdr, profile) for sdr in np.arange(-12.5, 33, 5)] for profile in ("ptq", "quick", "full")]
    assert all(np.all(np.diff(row) >= -1e-9) for row in table), "the better the float network, the more may be lost"
    assert np.all(np.array(table[0]) > table[1]) and np.all(np.array(table[1]) > table[2])


def spread(rng: np.random.Generator, sdr: float, loss: float, n: int, deviation: float = 0.01) -> tuple[list[float], list[float]]:
    return [sdr] * n, [float(value) for value in loss + deviation * rng.standard_normal(n)]


def test_each_bin_is_held_to_its_own_limit() -> None:
    """A loss of 0.3 dB is too much at 8 dB and little at 22 dB; their mean would hide it."""
    rng = np.random.default_rng(0)
    (low, low_loss), (high, high_loss) = spread(rng, 8, 0.3, 40), spread(rng, 22, 0.3, 200)
    result = judge(MeanLoss, Losses(low + high, low_loss + high_loss, 120), "full")
    assert result.state == "failed" and result.observed == pytest.approx(0.3, abs=0.01)
    assert result.limit == pytest.approx(predicted_loss(7.5, 23.5)) and result.n == 240
    assert "5 to 10 dB: 0.299 of 0.108 dB, 40 estimates, failed; 20 to 25 dB: 0.300 of 1.078 dB, 200 estimates, passed" in result.note
    assert judge(MeanLoss, Losses(high, high_loss, 100), "full").state == "passed"


def test_of_equals_the_bin_nearest_to_its_limit_or_farthest_beyond_is_told() -> None:
    rng = np.random.default_rng(0)

    def judged(low_loss: float, high_loss: float) -> float:
        (low, first), (high, second) = spread(rng, 8, low_loss, 200), spread(rng, 22, high_loss, 200)
        found = judge(MeanLoss, Losses(low + high, first + second, 200), "full")
        assert found.observed is not None
        return found.observed

    assert judged(0.09, 0.5) == pytest.approx(0.09, abs=0.01), "0.02 dB below 0.108; the other 0.58 below 1.078"
    assert judged(0.01, 1.05) == pytest.approx(1.05, abs=0.01), "0.1 dB below 0.108; the other 0.03 below 1.078"
    assert judged(0.2, 1.5) == pytest.approx(1.5, abs=0.01), "both fail: 0.09 and 0.42 dB beyond"
    assert judged(0.6, 1.2) == pytest.approx(0.6, abs=0.01), "both fail: 0.49 and 0.12 dB beyond"


@pytest.mark.parametrize(
    ("mixtures", "loss", "deviation", "state"),
    [
        (24, 0.25, 0.5, "undecided"),  # below the limit of 0.27 dB, but the interval holds it
        (24, 0.29, 0.5, "undecided"),
        (24, 0.6, 0.5, "failed"),  # all of the interval is beyond
        (24, 0.0, 0.5, "passed"),
        (120, 0.35, 0.5, "failed"),  # enough mixtures: the mean counts
        (120, 0.2, 0.5, "passed"),
    ],
)
def test_few_mixtures_may_not_tell(mixtures: int, loss: float, deviation: float, state: str) -> None:
    sdr, lost = spread(np.random.default_rng(1), 7, 0, 2 * mixtures, deviation)
    centred = np.array(lost) - np.mean(lost) + loss
    result = judge(MeanLoss, Losses(sdr, centred.tolist(), mixtures), "quick")
    assert result.state == state
    assert ("too few" in result.note) is (state == "undecided")


def test_the_worst_estimates_are_judged_beyond_the_limit_of_the_mean() -> None:
    sdr = [12.0] * 400
    limit = LossLimits().limit(12, "full")
    assert judge(WorstLoss, Losses(sdr, [limit] * 376 + [limit + 3.0] * 24, 200), "full").observed == pytest.approx(3)
    assert judge(WorstLoss, Losses(sdr, [limit] * 376 + [limit + 3.0] * 24, 200), "full").state == "failed"
    assert judge(WorstLoss, Losses(sdr, [limit] * 384 + [limit + 3.0] * 16, 200), "full").state == "passed"
    assert judge(WorstLoss, Losses(sdr[:20], [limit] * 18 + [limit + 3.0] * 2, 10), "full").state == "undecided"


def test_intelligibility() -> None:
    floating, lossy = results(6)
    found = losses(lossy, floating)
    expected = [f.stoi - q.stoi for f, q in zip(floating.items, lossy.items, strict=True)]
    assert found == expected and judge(Stoi, found, "full").state == "failed"
    assert judge(Stoi, [0.001, 0.002], "full").state == "passed"
    assert judge(Stoi, [0.001, 0.02], "quick").state == "undecided"
    short = floating.items[0].model_copy(update={"stoi": None})
    assert len(losses(lossy, floating.model_copy(update={"items": [short, *floating.items[1:]]}))) == 5


def test_order() -> None:
    floating, swapped = results(0, swap=True)
    found = agreements(swapped, floating)
    assert found == [False] + [True] * 5
    assert judge(Order, found, "ptq").state == "undecided", "six mixtures tell little"
    assert judge(Order, [True] * 95 + [False] * 5, "full").state == "failed"
    assert judge(Order, [True] * 99 + [False], "full").state == "passed"
    assert judge(Order, [True] * 24, "quick").state == "undecided", "24 of 24 is compatible with 94 %"
    assert judge(Order, [True] * 4 + [False] * 20, "quick").state == "failed"
    assert judge(MeanLoss, Losses.of(swapped, floating, "source_si_sdr"), "full").state == "passed", "another order loses no SI-SDR"


def test_waveform() -> None:
    floating, near = results(0.02)
    _, far = results(-0.2)
    assert judge(Waveform, (near, floating), "full").state == "passed"
    result = judge(Waveform, (far, floating), "full")
    assert (result.state, result.observed) == ("failed", pytest.approx(0.2, abs=0.02))
    assert result.interval is not None and result.interval.low <= result.interval.high
    assert judge(Waveform, (None, floating), "full").state == "failed"
