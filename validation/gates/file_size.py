"""resources.bytes: the file is about as large as its parameters and operators."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most


class FileSizeSettings(GateSettings):
    """The allowances."""

    per_parameter: float = Field(default=1.15, gt=0, description="bytes a parameter of the float network")
    per_operator: int = Field(default=170, ge=0, description="bytes an operator: its table, tensor, name and grid")
    least_for_operators: int = Field(default=48 * 1024, ge=0, description="bytes, the least allowance for all operators together")


@dataclass(frozen=True)
class Size:
    """Bytes of the file, parameters of the float network, operators of the file."""

    bytes: int
    parameters: int
    operators: int


class FileSize(Gate[Size, FileSizeSettings]):
    """Bytes of the file against an allowance by parameters and operators."""

    id = "resources.bytes"
    settings = FileSizeSettings

    def observe(self, evidence: Evidence) -> Size:
        structure = evidence.file.structure
        return Size(structure.bytes, evidence.file.parameters, sum(structure.ops.values()))

    def judge(self, observed: Size, settings: FileSizeSettings, profile: Profile) -> list[GateResult]:
        operators = max(settings.least_for_operators, settings.per_operator * observed.operators)
        limit = int(settings.per_parameter * observed.parameters) + operators
        rule = f"bytes of the file, at most {settings.per_parameter} a parameter + {settings.per_operator} an operator"
        return [at_most(self.id, rule, observed.bytes, limit, 1, "file")]

    def render(self, settings: FileSizeSettings, profile: Profile) -> str:
        return (
            "Of int8 weights a parameter is a byte, with a little for scales and biases; an operator's description costs up to 170 "
            "bytes whatever it computes (docs/adr/0032-tensor-names.md). A larger file stores something twice, or not as int8."
        )
