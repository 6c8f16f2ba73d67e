"""structure.latency: the response to an impulse comes out as late as the streaming file says, and no later."""

from __future__ import annotations

from dataclasses import dataclass

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most
from validation.steps import Steps, impulse_latency

FAST_RUNTIMES = ("litert-xnnpack", "litert-opt", "litert-ref", "onnxruntime")


@dataclass(frozen=True)
class Latency:
    """Samples, measured and said; frames of a hop, and the file's samples per second."""

    measured: int
    stated: int
    hop_frames: int
    sample_rate: int


class StepsLatency(Gate[Latency, GateSettings]):
    """An impulse in each frame of a hop, in silence."""

    id = "structure.latency"

    def asked(self, evidence: Evidence, settings: GateSettings) -> bool:
        return evidence.config.stream_tflite is not None or evidence.config.stream_onnx is not None

    def observe(self, evidence: Evidence) -> Latency:
        runtime = next(name for name in FAST_RUNTIMES if name in evidence.target.runtimes)
        path = evidence.config.stream_onnx if runtime == "onnxruntime" else evidence.config.stream_tflite
        assert path is not None, "it was asked"
        steps = Steps(path, runtime)
        streaming = steps.streaming
        return Latency(impulse_latency(steps), streaming.latency_samples, streaming.hop_frames, evidence.file.sample_rate)

    def judge(self, observed: Latency, settings: GateSettings, profile: Profile) -> list[GateResult]:
        rule = f"latency measured with impulses, samples, against the {observed.stated} that the file says"
        result = at_most(self.id, rule, observed.measured, observed.stated, observed.hop_frames, "impulses")
        return [result.noted(f"{1000 * observed.measured / observed.sample_rate:.4g} ms, and the time of computing")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "An impulse stands in the middle of each frame of a hop. From the frame's beginning to the end of the step that gives the "
            "largest sample of its response passes the latency: waiting for the hop to be full, and for the frames that a sample is in. "
            "The longest counts. The network may move the largest sample within its frame."
        )
