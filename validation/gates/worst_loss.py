"""task.p5: what quantization costs the unluckiest estimates."""

from __future__ import annotations

from pydantic import Field

from export_specs.schema import Profile
from validation.bootstrap import Interval, fifth_percentile, fifth_percentile_interval
from validation.evidence import Evidence
from validation.gate import ByProfile, Gate
from validation.gate_result import GateResult, at_most, no_evidence
from validation.loss_limits import Losses, LossLimits


class WorstLossSettings(LossLimits):
    """The thresholds."""

    excess_db: ByProfile = Field(default={"ptq": 3.0, "quick": 1.0, "full": 1.0}, description="of one estimate in twenty beyond its limit")


class WorstLoss(Gate[Losses | None, WorstLossSettings]):
    """The 5th percentile of the estimates: how far they lose more than the mean may lose at their SDR."""

    id = "task.p5"
    settings = WorstLossSettings

    def observe(self, evidence: Evidence) -> Losses | None:
        return Losses.of(evidence.subject, evidence.reference, "source_si_sdr")

    def judge(self, observed: Losses | None, settings: WorstLossSettings, profile: Profile) -> list[GateResult]:
        rule = "SI-SDR loss beyond the mean's limit at that float SDR, exceeded by 5 % of the estimates, dB"
        if observed is None or not observed.loss:
            return [no_evidence(self.id, rule, "the stage that ships, or the float stage, did not run on the test set")]
        kept = [settings.limit(sdr, profile) - loss for sdr, loss in zip(observed.sdr, observed.loss, strict=True)]
        found = fifth_percentile_interval(kept)
        interval = Interval(low=-found.high, high=-found.low)
        excess, n = -fifth_percentile(kept), len(kept)
        return [at_most(self.id, rule, excess, settings.excess_db[profile], n, "estimates", interval, observed.mixtures)]

    def render(self, settings: WorstLossSettings, profile: Profile) -> str:
        return (
            "A good mean may hide a few ruined recordings. Of each estimate's loss the limit that task.mean has at its float SDR is "
            f"taken off; what is left may exceed {settings.excess_db[profile]:g} dB in one estimate of twenty."
        )
