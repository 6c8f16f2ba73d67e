"""resources.steps: a stream takes a small part of a whole segment's memory, and its file is hardly larger."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from edge_runtime.stream_states import state_bytes
from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.steps import Steps


class StepsResourcesSettings(GateSettings):
    """The limits, in parts of the whole file's."""

    max_memory: float = Field(default=0.5, gt=0, description="TFLM's arena on this 64-bit computer, and the states")
    max_file: float = Field(default=1.1, gt=0, description="bytes of the file")


@dataclass(frozen=True)
class StepsBytes:
    """Of the streaming and of the whole file; an arena is None where TFLM did not run the file."""

    arena: int | None
    states: int
    file: int
    whole_arena: int | None
    whole_file: int


class StepsResources(Gate[StepsBytes, StepsResourcesSettings]):
    """Memory and size of the streaming file against those of the whole file."""

    id = "resources.steps"
    settings = StepsResourcesSettings

    def asked(self, evidence: Evidence, settings: StepsResourcesSettings) -> bool:
        return evidence.config.stream_tflite is not None and "tflm" in evidence.target.runtimes

    def observe(self, evidence: Evidence) -> StepsBytes:
        stream, whole = evidence.config.stream_tflite, evidence.config.tflite
        assert stream is not None and whole is not None, "it was asked"
        steps = Steps(stream, "tflm")
        sizes = stream.stat().st_size, whole.stat().st_size
        return StepsBytes(steps.arena_bytes, state_bytes(steps.streaming.states), sizes[0], evidence.file.arena_bytes, sizes[1])

    def judge(self, observed: StepsBytes, settings: StepsResourcesSettings, profile: Profile) -> list[GateResult]:
        memory, file = "bytes of TFLM's arena and of the states of a stream", "bytes of the streaming file"
        size = at_most(f"{self.id}.file", file, observed.file, int(settings.max_file * observed.whole_file), 1, "file")
        if observed.arena is None or observed.whole_arena is None:
            return [no_evidence(f"{self.id}.memory", memory, "TFLM did not run both files"), size]
        limit = int(settings.max_memory * observed.whole_arena)
        found = at_most(f"{self.id}.memory", memory, observed.arena + observed.states, limit, 1, "file")
        return [found.noted(f"arena {observed.arena} on this 64-bit computer, states {observed.states} beside it for each stream"), size]

    def render(self, settings: StepsResourcesSettings, profile: Profile) -> str:
        return (
            f"The arena of a step and the states that the host keeps are at most {settings.max_memory:.0%} of a whole segment's arena, and "
            f"the file at most {settings.max_file:.0%} of the whole one: the weights are the same, and a step adds what joins the past to "
            "the present."
        )
