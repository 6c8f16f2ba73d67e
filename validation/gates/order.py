"""task.order: the file gives the speakers in the order in which the float network gives them."""

from __future__ import annotations

from pydantic import Field
from scipy.stats import binomtest

from export_specs.schema import Profile
from validation.bootstrap import Interval
from validation.evidence import Evidence
from validation.gate import ByProfile, Gate, GateSettings
from validation.gate_result import ENOUGH_MIXTURES, GateResult, State, no_evidence
from validation.ladder import StageResult


class OrderSettings(GateSettings):
    """The thresholds."""

    least_agreement: ByProfile = Field(default={"ptq": 0.9, "quick": 0.95, "full": 0.99}, description="share of the mixtures")


class Order(Gate[list[bool], OrderSettings]):
    """Share of the mixtures with the same order; asked where sources have no names, and so no places."""

    id = "task.order"
    settings = OrderSettings

    def asked(self, evidence: Evidence, settings: OrderSettings) -> bool:
        return not evidence.named_sources

    def observe(self, evidence: Evidence) -> list[bool]:
        """Of every mixture, whether the order is the same."""
        return agreements(evidence.subject, evidence.reference)

    def judge(self, observed: list[bool], settings: OrderSettings, profile: Profile) -> list[GateResult]:
        rule, n = "share of the mixtures with the same order of speakers as float", len(observed)
        if not n:
            return [no_evidence(self.id, rule, "the stage that ships, or the float stage, did not run on the test set")]
        share, limit = sum(observed) / n, settings.least_agreement[profile]
        ends = binomtest(sum(observed), n).proportion_ci(0.95, method="wilson")
        interval = Interval(low=float(ends.low), high=float(ends.high))
        state: State = "passed" if share >= limit else "failed"
        result = GateResult(
            id=self.id, rule=rule, state=state, observed=share, limit=limit, interval=interval, n=n, counted="mixtures",
            note=f"{n - sum(observed)} in another order",
        )  # fmt: skip
        if n < ENOUGH_MIXTURES and interval.low < limit <= interval.high:
            note = f"{n} mixtures are too few to tell: the 95 % interval holds the limit; PROFILE=full judges more"
            return [result.model_copy(update={"state": "undecided"}).noted(note)]
        return [result]

    def render(self, settings: OrderSettings, profile: Profile) -> str:
        return (
            "Which output is which speaker is free, but the file should choose as the float network does: another order tells that "
            "an estimate has moved far. The interval is Wilson's."
        )


def agreements(subject: StageResult | None, reference: StageResult | None) -> list[bool]:
    """Whether the order of the sources is the same, of every mixture that both stages have."""
    if subject is None or reference is None:
        return []
    before = {score.id: score.order for score in reference.items}
    return [before[score.id] == score.order for score in subject.items if score.id in before]
