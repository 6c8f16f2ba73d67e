"""task.stoi: what quantization costs in intelligibility."""

from __future__ import annotations

from pydantic import Field

from export_specs.schema import Profile
from validation.bootstrap import mean_interval
from validation.evidence import Evidence
from validation.gate import ByProfile, Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.ladder import StageResult


class StoiSettings(GateSettings):
    """The thresholds."""

    max_loss: ByProfile = Field(default={"ptq": 0.02, "quick": 0.01, "full": 0.005}, description="mean loss of STOI, of 0 to 1")


class Stoi(Gate[list[float], StoiSettings]):
    """Mean loss of STOI against float; asked of speech alone."""

    id = "task.stoi"
    settings = StoiSettings

    def asked(self, evidence: Evidence, settings: StoiSettings) -> bool:
        return not evidence.named_sources

    def observe(self, evidence: Evidence) -> list[float]:
        """The loss of every mixture for which both stages have a STOI."""
        return losses(evidence.subject, evidence.reference)

    def judge(self, observed: list[float], settings: StoiSettings, profile: Profile) -> list[GateResult]:
        rule = "mean STOI loss against float"
        if not observed:
            return [no_evidence(self.id, rule, "no mixture holds enough speech for STOI, or a stage did not run on the test set")]
        loss, n = sum(observed) / len(observed), len(observed)
        return [at_most(self.id, rule, loss, settings.max_loss[profile], n, "mixtures", mean_interval(observed), n)]

    def render(self, settings: StoiSettings, profile: Profile) -> str:
        return (
            "STOI predicts how much of the speech is understood, 0 to 1. One limit holds for all mixtures: where the float network "
            "separates well STOI is close to its end, so the hard mixtures decide. Mixtures with less than 0.4 s of speech have no "
            "STOI."
        )


def losses(subject: StageResult | None, reference: StageResult | None) -> list[float]:
    """Loss of STOI, float less subject, of every mixture for which both have one."""
    if subject is None or reference is None:
        return []
    before = {score.id: score.stoi for score in reference.items}
    pairs = [(before.get(score.id), score.stoi) for score in subject.items]
    return [first - second for first, second in pairs if first is not None and second is not None]
