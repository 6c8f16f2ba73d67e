"""structure.ops: only operators that the target has."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.structure import Structure


class AllowedOps(Gate[Structure, GateSettings]):
    """Every operator is in the target's ``allowed_ops``; an empty list allows all."""

    id = "structure.ops"

    def observe(self, evidence: Evidence) -> Structure:
        return evidence.file.structure

    def judge(self, observed: Structure, settings: GateSettings, profile: Profile) -> list[GateResult]:
        refused = [f"{name} ×{count}" for name, count in observed.refused_ops.items()]
        return [none_of(self.id, "only ops that the target allows", refused, sum(observed.ops.values()), "operators")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return "Every operator is one of the target's allowed_ops: those that its kernels or its accelerator have."
