"""level.contract: with the constant removed and the gain chosen, the file separates alike at every level."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.input_contract import ContractPoint


class InputContractSettings(GateSettings):
    """The threshold."""

    max_spread_db: float = Field(default=0.2, ge=0, description="largest less least mean SI-SDR improvement over levels and a constant")


class InputContract(Gate[Sequence[ContractPoint], InputContractSettings]):
    """Spread of the mean improvement over the levels and the constant."""

    id = "level.contract"
    settings = InputContractSettings

    def observe(self, evidence: Evidence) -> Sequence[ContractPoint]:
        return evidence.contract

    def judge(self, observed: Sequence[ContractPoint], settings: InputContractSettings, profile: Profile) -> list[GateResult]:
        rule = "spread of the improvement over levels and a constant, dB"
        found = [point.kept for point in observed]
        if not found or not all(map(math.isfinite, found)):
            return [no_evidence(self.id, rule, "no mixture was judged, or one gave silence")]
        return [at_most(self.id, rule, max(found) - min(found), settings.max_spread_db, observed[0].n, "mixtures")]

    def render(self, settings: InputContractSettings, profile: Profile) -> str:
        return (
            "The file expects a segment without a constant whose peak is near full scale; its metadata say so as input_gain. Whoever keeps "
            f"to that gets the same improvement, within {settings.max_spread_db:g} dB, from a soft recording and from a microphone with an "
            "offset. The table below the softer recordings shows what the file alone makes of them."
        )
