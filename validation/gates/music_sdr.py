"""task.sdr: what quantization costs of music in museval's SDR, which unlike SI-SDR sees a wrong level."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate
from validation.gate_result import GateResult
from validation.loss_limits import Losses, LossLimits, judge_by_bin


class MusicSdr(Gate[Losses | None, LossLimits]):
    """Mean loss of museval's SDR against float, bin by bin; asked of music alone."""

    id = "task.sdr"
    settings = LossLimits

    def asked(self, evidence: Evidence, settings: LossLimits) -> bool:
        return evidence.named_sources

    def observe(self, evidence: Evidence) -> Losses | None:
        return Losses.of(evidence.subject, evidence.reference, "source_sdr")

    def judge(self, observed: Losses | None, settings: LossLimits, profile: Profile) -> list[GateResult]:
        return [judge_by_bin(self.id, "mean loss of museval's SDR against float in bins of float SDR, dB", observed, settings, profile)]

    def render(self, settings: LossLimits, profile: Profile) -> str:
        return (
            "Music is judged by museval's SDR too (the median over windows of 1 s), which falls when a source comes out at a wrong "
            "level. The limits follow the float network's SDR as those of task.mean do."
        )
