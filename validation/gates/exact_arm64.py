"""exact.arm64: LiteRT's reference kernels compute every tensor on aarch64 as they do on this computer."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult
from validation.gates.exact import ExactEvidence, equal_to_golden

RUNTIME = "arm64-litert-ref"


class ExactArm64(Gate[ExactEvidence, GateSettings]):
    """0 LSB on every tensor, without exceptions."""

    id = "exact.arm64"

    def asked(self, evidence: Evidence, settings: GateSettings) -> bool:
        return RUNTIME in evidence.target.runtimes

    def observe(self, evidence: Evidence) -> ExactEvidence:
        emulated = next((found for found in evidence.file.free if found.runtime == RUNTIME), None)
        return ExactEvidence(emulated, evidence.file.ops, {})

    def judge(self, observed: ExactEvidence, settings: GateSettings, profile: Profile) -> list[GateResult]:
        rule = "LiteRT BUILTIN_REF on aarch64 = here, 0 LSB on every inner tensor and the output"
        return [equal_to_golden(self.id, rule, observed, RUNTIME)]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "LiteRT's reference kernels, built for aarch64, run the file on a few clips on an emulated processor (qemu-user), and every "
            "inner tensor and the output equal those of this computer to the last bit."
        )
