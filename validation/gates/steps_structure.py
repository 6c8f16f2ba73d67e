"""structure.steps: the streaming file is as fully integer as the whole one, and has only operators that the target has."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.structure import Structure, audit


class StepsStructure(Gate[Structure, GateSettings]):
    """The audit of the streaming file."""

    id = "structure.steps"

    def asked(self, evidence: Evidence, settings: GateSettings) -> bool:
        return evidence.config.stream_tflite is not None

    def observe(self, evidence: Evidence) -> Structure:
        assert evidence.config.stream_tflite is not None, "it was asked"
        return audit(evidence.config.stream_tflite, evidence.target.allowed_ops)

    def judge(self, observed: Structure, settings: GateSettings, profile: Profile) -> list[GateResult]:
        bad = [*observed.float_tensors, *observed.custom_ops, *(f"{name} ×{count}" for name, count in observed.refused_ops.items())]
        return [none_of(self.id, "no float, custom or other operator in the streaming file", bad, sum(observed.ops.values()), "operators")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return "The streaming file has no float tensor, no custom operator, and only operators in the target's allowed_ops."
