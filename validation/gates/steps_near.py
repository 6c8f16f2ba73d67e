"""near.steps: the streaming ONNX file is close to the whole one in ONNX Runtime."""

from __future__ import annotations

from pydantic import Field

from edge_runtime.runtime import open_runtime
from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.steps import Compared, Steps, compare


class StepsNearSettings(GateSettings):
    """The threshold."""

    least_sqnr_db: float = Field(default=20.0, description="of the stream, whole segments being the signal")


class StepsNear(Gate[Compared, StepsNearSettings]):
    """ONNX Runtime's float convolutions round by the number of frames they are given, so its stream is near, not equal."""

    id = "near.steps"
    settings = StepsNearSettings

    def asked(self, evidence: Evidence, settings: StepsNearSettings) -> bool:
        return evidence.config.stream_onnx is not None and "onnxruntime" in evidence.target.runtimes

    def observe(self, evidence: Evidence) -> Compared:
        stream, whole = evidence.config.stream_onnx, evidence.config.onnx
        assert stream is not None and whole is not None, "it was asked"
        return compare(Steps(stream, "onnxruntime"), open_runtime(whole, "onnxruntime"), evidence.file.recording(2))

    def judge(self, observed: Compared, settings: StepsNearSettings, profile: Profile) -> list[GateResult]:
        rule = "ONNX Runtime's stream against its whole segments, error over signal, dB"
        if not observed.enough or not observed.signal:
            return [no_evidence(self.id, rule, f"{observed.samples} samples of power {observed.signal:g}")]
        note = f"{observed.differing} samples differ"
        return [at_most(self.id, rule, -observed.sqnr_db, -settings.least_sqnr_db, observed.samples, "samples").noted(note)]

    def render(self, settings: StepsNearSettings, profile: Profile) -> str:
        return (
            "Between its quantizers ONNX Runtime computes in float, and how it adds up depends on how many frames it is given: a value "
            "next to a tie may fall on its other side, and the difference goes on. It must stay "
            f"{settings.least_sqnr_db:g} dB below the signal. What is equal to the bit is the TFLite file (exact.steps)."
        )
