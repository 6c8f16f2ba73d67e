"""structure.int16: PCM of 16 bits at both ends of the file."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.structure import Structure


class Int16Ends(Gate[Structure, GateSettings]):
    """Inputs and outputs are int16."""

    id = "structure.int16"

    def observe(self, evidence: Evidence) -> Structure:
        return evidence.file.structure

    def judge(self, observed: Structure, settings: GateSettings, profile: Profile) -> list[GateResult]:
        ends = [*observed.inputs, *observed.outputs]
        return [none_of(self.id, "int16 in and out", [] if observed.io_int16 else ends, len(ends), "inputs and outputs")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return "The file takes and gives int16 as a codec does: what splits 16 bits into bytes and joins them again is inside."
