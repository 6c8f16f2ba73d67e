"""structure.transpose: no TRANSPOSE but those that the target gives a reason for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, excuses, none_of, told
from validation.structure import Structure


@dataclass(frozen=True)
class Transposed:
    """The audit, and the patterns {tensor, * and ? allowed: reason} of tensors that a TRANSPOSE may make."""

    structure: Structure
    allowed: Mapping[str, str]


class Transposes(Gate[Transposed, GateSettings]):
    """A TRANSPOSE moves every activation through memory and computes nothing."""

    id = "structure.transpose"

    def observe(self, evidence: Evidence) -> Transposed:
        return Transposed(evidence.file.structure, evidence.target.transposes)

    def judge(self, observed: Transposed, settings: GateSettings, profile: Profile) -> list[GateResult]:
        patterns = {
            name: next((pattern for pattern in observed.allowed if fnmatchcase(name, pattern)), None)
            for name in observed.structure.transposed
        }
        unexcused = [name for name, pattern in patterns.items() if pattern is None]
        found = excuses(observed.allowed, [pattern for pattern in patterns.values() if pattern is not None])
        rule = "no TRANSPOSE but those that the target gives a reason for"
        gate = none_of(self.id, rule, unexcused, sum(observed.structure.ops.values()), "operators")
        return [gate.noted(*told(found)).model_copy(update={"excuses": found})]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "The network is laid out with channels last from the start, so its convolutional body needs no TRANSPOSE, which would "
            "move every activation through memory. The target's transposes name the tensors that need one all the same, with the "
            "reason."
        )
