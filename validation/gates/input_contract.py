"""level.contract: with the constant removed and the gain chosen, the file separates alike at every level."""

from __future__ import annotations

import math

from pydantic import Field

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.input_contract import Contract


class InputContractSettings(GateSettings):
    """The threshold."""

    max_spread_db: float = Field(default=0.2, ge=0, description="largest less least mean SI-SDR improvement over levels and a constant")


class InputContract(Gate[Contract | None, InputContractSettings]):
    """Spread of the mean improvement over the levels and the constant."""

    id = "level.contract"
    settings = InputContractSettings

    def observe(self, evidence: Evidence) -> Contract | None:
        return evidence.contract

    def judge(self, observed: Contract | None, settings: InputContractSettings, profile: Profile) -> list[GateResult]:
        rule = "spread of the improvement over levels and a constant, dB"
        if observed is None or not math.isfinite(observed.spread):
            return [no_evidence(self.id, rule, "no mixture was judged, or one gave silence")]
        n = observed.points[0].n
        return [at_most(self.id, rule, observed.spread, settings.max_spread_db, n, "mixtures", observed.interval, n)]

    def render(self, settings: InputContractSettings, profile: Profile) -> str:
        return (
            "The file expects a segment without a constant whose peak is near full scale; its metadata say so as input_gain. Whoever keeps "
            f"to that gets the same improvement, within {settings.max_spread_db:g} dB, from a soft recording and from a microphone with an "
            "offset. The table below the softer recordings shows what the file alone makes of them."
        )
