"""structure.runs: the file loads and runs in every runtime of the target."""

from __future__ import annotations

from collections.abc import Sequence

from export_specs.schema import Profile
from validation.behaviour import RuntimeBehaviour
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of


class Runs(Gate[Sequence[RuntimeBehaviour], GateSettings]):
    """Loads, runs on four inputs, and gives the same output for the same input."""

    id = "structure.runs"

    def observe(self, evidence: Evidence) -> Sequence[RuntimeBehaviour]:
        return evidence.file.behaviour

    def judge(self, observed: Sequence[RuntimeBehaviour], settings: GateSettings, profile: Profile) -> list[GateResult]:
        broken = [f"{found.runtime}: {found.problem}" for found in observed if found.problem is not None]
        broken += [f"{found.runtime}: another output for the same input" for found in observed if found.repeatable is False]
        return [none_of(self.id, "loads and runs in every runtime of the target", broken, len(observed), "runtimes")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "Every runtime that the target names loads the file itself and runs it on zeros, on one loud sample, on a clip and on noise at "
            "full scale. One of them is run again after the others and must give the same output: nothing is carried from run to run."
        )
