"""theory.loss: the loss is the one that the quantization noise must cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from export_specs.schema import Profile
from validation.bootstrap import mean_interval, of_the_size
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, State, no_evidence
from validation.loss_limits import worst
from validation.sdr_bins import bin_words, joined_bins
from validation.theory import EstimatePoint


class TheorySettings(GateSettings):
    """The thresholds."""

    least_sdr_db: float = Field(default=15.0, description="float SDR from which estimates are judged; below, training makes up for noise")
    max_difference_db: float = Field(default=0.2, ge=0, description="size of mean observed less predicted loss in a bin")
    least_estimates: int = Field(default=30, gt=0, description="estimates that decide a bin")


class Theory(Gate[Sequence[EstimatePoint], TheorySettings]):
    """Observed against predicted loss in bins of the float network's SDR."""

    id = "theory.loss"
    settings = TheorySettings

    def observe(self, evidence: Evidence) -> Sequence[EstimatePoint]:
        return evidence.points

    def judge(self, observed: Sequence[EstimatePoint], settings: TheorySettings, profile: Profile) -> list[GateResult]:
        least = f"{settings.least_sdr_db:g} dB"
        rule = f"|observed − predicted loss| in bins of float SDR from {least} up, dB; predicted is 10·log10(1 + 10^((SDR − SQNR)/10))"
        if not observed:
            return [no_evidence(self.id, rule, "no estimate of the stage that ships was compared with float")]
        points = [point for point in observed if point.sdr >= settings.least_sdr_db]
        if not points:
            undecided = GateResult(
                id=self.id, rule=rule, state="undecided", observed=None, limit=settings.max_difference_db, n=len(observed),
                counted="estimates", note=f"no estimates above {least}",
            )  # fmt: skip
            return [undecided]
        bins = joined_bins([point.sdr for point in points], settings.least_estimates)
        found = [self._bin(rule, span, [points[position] for position in positions], settings) for span, positions in bins.items()]
        notes = "; ".join(result.note for result in found)
        return [worst(found).model_copy(update={"n": len(points), "note": notes})]

    def render(self, settings: TheorySettings, profile: Profile) -> str:
        return (
            "Noise that is uncorrelated with the float network's own errors must cost 10·log10(1 + 10^((SDR − SQNR)/10)) dB (FQSS "
            f"paper, section III). Where the float network is good, from {settings.least_sdr_db:g} dB of SDR, what is lost must be "
            f"just that, within {settings.max_difference_db:g} dB: more tells that something else than quantization noise is wrong, "
            f"less that the measurement is. A bin needs {settings.least_estimates} estimates; a sparser one joins the one below."
        )

    def _bin(self, rule: str, span: tuple[float, float], points: Sequence[EstimatePoint], settings: TheorySettings) -> GateResult:
        excess = [point.excess for point in points]
        mean, limit = float(np.mean(excess)), settings.max_difference_db
        decided: State = "passed" if abs(mean) <= limit else "failed"
        few = len(points) < settings.least_estimates
        note = (
            f"{bin_words(span)}: observed {np.mean([p.loss for p in points]):.3f} dB, predicted "
            f"{np.mean([p.predicted for p in points]):.3f} dB, "
            f"{len(points)} estimates" + (f", {settings.least_estimates} are needed to decide" if few else "")
        )
        return GateResult(
            id=self.id, rule=rule, state="undecided" if few else decided, observed=abs(mean), limit=limit,
            interval=of_the_size(mean, mean_interval(excess)), n=len(points), counted="estimates", note=note,
        )  # fmt: skip
