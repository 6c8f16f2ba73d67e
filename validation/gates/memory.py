"""structure.memory: no kernel writes over a tensor that is still to be read."""

from __future__ import annotations

from dataclasses import dataclass

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.layers import unlike_golden


@dataclass(frozen=True)
class Overwritten:
    """The clips whose output depends on whether inner tensors are kept, and how many clips were run."""

    clips: list[str]
    n: int


class Memory(Gate[Overwritten, GateSettings]):
    """The output is the same whether inner tensors are kept or share memory."""

    id = "structure.memory"

    def asked(self, evidence: Evidence, settings: GateSettings) -> bool:
        return evidence.target.format == "tflite"

    def observe(self, evidence: Evidence) -> Overwritten:
        file = evidence.file
        return Overwritten(unlike_golden(file.path, file.clips, file.golden, file.sample_rate), len(file.clips))

    def judge(self, observed: Overwritten, settings: GateSettings, profile: Profile) -> list[GateResult]:
        rule = "the same output with and without inner tensors kept (LiteRT BUILTIN_REF)"
        return [none_of(self.id, rule, observed.clips, observed.n, "clips")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "A runtime lets tensors share memory. Where a kernel wrote over one that is still to be read, the file would be right "
            "only while somebody looks, because tensors that are looked at keep their memory to themselves "
            "(docs/adr/0019-reshaped-memory.md)."
        )
