"""What loss is allowed to a quantized network, by the float network's SDR, and the judgement of losses bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from export_specs.schema import Profile
from validation.bootstrap import mean_interval, paired_differences
from validation.gate import ByProfile, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.ladder import StageResult
from validation.sdr_bins import bin_of, bin_words, joined_bins, middle
from validation.theory import predicted_loss

LEAST_ESTIMATES = 30  # of a bin that is judged by itself


class LossLimits(GateSettings):
    """The allowed mean loss, derived from the theory (docs/adr/0022-limits-by-sdr.md).

    At high SDR it is the loss that noise at ``sqnr_db`` must cause, 10·log10(1 + 10^((SDR − SQNR)/10)). Sources that are soft in their
    mixture have a low SDR and, on grids made for loud ones, a low SQNR too; there the quantization noise may come up to ``margin_db``
    below the float network's own errors. The larger of the two is the limit.
    """

    sqnr_db: ByProfile = Field(default={"ptq": 24.0, "quick": 26.0, "full": 28.0}, description="least signal to quantization noise")
    margin_db: ByProfile = Field(default={"ptq": 9.0, "quick": 12.0, "full": 16.0}, description="of quantization noise below own errors")

    def limit(self, sdr: float, profile: Profile) -> float:
        """The allowed mean loss in dB where the float network has this SDR: that of the middle of its bin."""
        at = middle(bin_of(sdr))
        return predicted_loss(at, min(self.sqnr_db[profile], at + self.margin_db[profile]))


@dataclass(frozen=True)
class Losses:
    """One loss and one float SDR of each estimate, both in dB, of ``mixtures`` mixtures."""

    sdr: Sequence[float]
    loss: Sequence[float]
    mixtures: int

    @classmethod
    def of(cls, subject: StageResult | None, reference: StageResult | None, key: str) -> Losses | None:
        """From the scores ``key`` (``source_si_sdr`` or ``source_sdr``) of the mixtures that both stages have; None without both."""
        if subject is None or reference is None:
            return None
        before = {score.id: getattr(score, key) for score in reference.items}
        pairs = [(before[score.id], getattr(score, key)) for score in subject.items if score.id in before]
        sdr = [value for first, _ in pairs for value in first]
        quantized = [value for _, second in pairs for value in second]
        return cls(sdr, [float(loss) for loss in paired_differences(quantized, sdr)], len(pairs))


def judge_by_bin(name: str, rule: str, losses: Losses | None, limits: LossLimits, profile: Profile) -> GateResult:
    """The mean loss in every bin of the float SDR against its limit; the worst bin is the result, all are told.

    Bins with fewer than LEAST_ESTIMATES join a neighbour (:func:`validation.sdr_bins.joined_bins`), whose limit is then the mean of the
    estimates' limits.
    """
    if losses is None:
        return no_evidence(name, rule, "the stage that ships, or the float stage, did not run on the test set")
    if not losses.loss:
        return no_evidence(name, rule, "there were no mixtures")
    found, notes = [], []
    for span, positions in joined_bins(losses.sdr, LEAST_ESTIMATES).items():
        loss = [losses.loss[position] for position in positions]
        limit = float(np.mean([limits.limit(losses.sdr[position], profile) for position in positions]))
        mean = float(np.mean(loss))
        found.append(at_most(name, rule, mean, limit, len(loss), "estimates", mean_interval(loss), losses.mixtures))
        notes.append(f"{bin_words(span)}: {mean:.3f} of {limit:.3f} dB, {len(loss)} estimates, {found[-1].state}")
    return worst(found).model_copy(update={"n": len(losses.loss)}).noted("by float SDR: " + "; ".join(notes))


def worst(found: Sequence[GateResult]) -> GateResult:
    """A failed result before an undecided one before a passed one; of equals the one nearest to its limit or farthest beyond."""
    rank = ("failed", "undecided", "passed")
    return min(found, key=lambda result: (rank.index(result.state), (result.limit or 0) - (result.observed or 0)))
