"""structure.custom: no operator that a runtime would have to be extended for."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.structure import Structure


class NoCustomOps(Gate[Structure, GateSettings]):
    """Only builtin operators."""

    id = "structure.custom"

    def observe(self, evidence: Evidence) -> Structure:
        return evidence.file.structure

    def judge(self, observed: Structure, settings: GateSettings, profile: Profile) -> list[GateResult]:
        return [none_of(self.id, "no custom op", observed.custom_ops, sum(observed.ops.values()), "operators")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return "The file uses builtin operators alone, so that a runtime as published runs it."
