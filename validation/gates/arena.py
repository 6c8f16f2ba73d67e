"""resources.arena: TFLM's working memory, where the target limits it."""

from __future__ import annotations

from pydantic import Field

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence


class ArenaSettings(GateSettings):
    """The limit; None: the target has none."""

    max_bytes: int | None = Field(default=None, gt=0, description="bytes of TFLM's arena on this 64-bit computer")


class Arena(Gate[int | None, ArenaSettings]):
    """Bytes of the arena that TFLM measures when it loads the file; asked where the target sets a limit."""

    id = "resources.arena"
    settings = ArenaSettings

    def asked(self, evidence: Evidence, settings: ArenaSettings) -> bool:
        return settings.max_bytes is not None

    def observe(self, evidence: Evidence) -> int | None:
        return evidence.file.arena_bytes

    def judge(self, observed: int | None, settings: ArenaSettings, profile: Profile) -> list[GateResult]:
        rule = "bytes of TFLM's arena on the host"
        if observed is None or settings.max_bytes is None:
            return [no_evidence(self.id, rule, "TFLM did not run the file")]
        return [at_most(self.id, rule, observed, settings.max_bytes, 1, "file")]

    def render(self, settings: ArenaSettings, profile: Profile) -> str:
        return "TFLM's arena as measured on this 64-bit computer: an upper bound of a 32-bit device's, whose pointers are narrower."
