"""resources.npu: an NPU takes the network, as its compiler says."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.vela import INSTALL, NpuEstimate, vela_program


class NpuSettings(GateSettings):
    """The threshold."""

    max_cpu_operators: int = Field(default=4, ge=0, description="operators that the compiled file may leave to the CPU")


class NpuCompiled(Gate[Sequence[NpuEstimate], NpuSettings]):
    """Operators left to the CPU, for each NPU that the target names; asked where it names one and Vela is installed."""

    id = "resources.npu"
    settings = NpuSettings

    def asked(self, evidence: Evidence, settings: NpuSettings) -> bool:
        return bool(evidence.target.npus) and vela_program() is not None

    def observe(self, evidence: Evidence) -> Sequence[NpuEstimate]:
        return evidence.npu

    def judge(self, observed: Sequence[NpuEstimate], settings: NpuSettings, profile: Profile) -> list[GateResult]:
        return [_one(f"{self.id}.{found.npu}", found, settings.max_cpu_operators) for found in observed]

    def render(self, settings: NpuSettings, profile: Profile) -> str:
        return (
            "Vela, Arm's compiler for Ethos-U, compiles the file for each NPU of the target. What it does not take runs on the CPU and "
            f"costs what no estimate tells, so at most {settings.max_cpu_operators} operators may be left there. Where Vela is not "
            f"installed ({INSTALL}) nothing is judged, and the report's first line says so."
        )


def _one(name: str, found: NpuEstimate, limit: int) -> GateResult:
    rule = "operators left to the CPU"
    if found.problem is not None:
        return no_evidence(name, rule, found.problem)
    left = sum(found.cpu_operators.values())
    return at_most(name, rule, left, limit, 1, "file").noted(", ".join(f"{key} {count}" for key, count in found.cpu_operators.items()))
