"""task.mean: what quantization costs in SI-SDR, in bins of the float network's SDR."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate
from validation.gate_result import GateResult
from validation.loss_limits import Losses, LossLimits, judge_by_bin


class MeanLoss(Gate[Losses | None, LossLimits]):
    """Mean loss of SI-SDR against float, bin by bin."""

    id = "task.mean"
    settings = LossLimits

    def observe(self, evidence: Evidence) -> Losses | None:
        return Losses.of(evidence.subject, evidence.reference, "source_si_sdr")

    def judge(self, observed: Losses | None, settings: LossLimits, profile: Profile) -> list[GateResult]:
        return [judge_by_bin(self.id, "mean SI-SDR loss against float in bins of float SDR, dB", observed, settings, profile)]

    def render(self, settings: LossLimits, profile: Profile) -> str:
        limits = ", ".join(f"{settings.limit(sdr, profile):.2f} dB at {sdr:g} dB" for sdr in (2.5, 7.5, 12.5, 17.5, 22.5))
        return (
            "The same mixtures through the float network and through the file. Quantization noise costs more where the float "
            f"network is better, so each bin of the float network's SDR has a limit of its own: {limits} of float SDR. It is the "
            f"loss that a signal to quantization noise ratio of {settings.sqnr_db[profile]:g} dB must cause; where sources are soft, "
            f"that of noise {settings.margin_db[profile]:g} dB below the float network's own errors "
            "(docs/adr/0022-limits-by-sdr.md). The row shows the worst bin."
        )
