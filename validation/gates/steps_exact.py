"""exact.steps: a stream gives the samples that whole segments give, in every TFLite runtime."""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.runtime import open_runtime
from export_specs.schema import Profile, runs_onnx_files
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.steps import CONTEXTS, Compared, Steps, compare


class StepsExact(Gate[Mapping[str, Compared], GateSettings]):
    """The streaming file against the whole file, each runtime against itself; 0 samples differ."""

    id = "exact.steps"

    def asked(self, evidence: Evidence, settings: GateSettings) -> bool:
        return evidence.config.stream_tflite is not None

    def observe(self, evidence: Evidence) -> Mapping[str, Compared]:
        stream, whole = evidence.config.stream_tflite, evidence.config.tflite
        assert stream is not None and whole is not None, "it was asked"
        recording = evidence.file.recording(2)
        runtimes = [name for name in evidence.file.running if not runs_onnx_files(name)]
        return {name: compare(Steps(stream, name), open_runtime(whole, name), recording) for name in runtimes}

    def judge(self, observed: Mapping[str, Compared], settings: GateSettings, profile: Profile) -> list[GateResult]:
        broken = [f"{name}: {found.differing} of {found.samples} samples differ" for name, found in observed.items() if found.differing]
        short = [
            f"{name}: {found.samples} samples are no {CONTEXTS} × {found.context}" for name, found in observed.items() if not found.enough
        ]
        samples = sum(found.samples for found in observed.values())
        result = none_of(self.id, "streamed equals whole, sample for sample, in each TFLite runtime", [*broken, *short], samples, "samples")
        return [result.noted(f"in {', '.join(observed)}")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "A recording, made loud, silent and soft by turns, goes through the streaming file step by step. Beside it the same runtime "
            f"runs the whole file on segments of it. Over {CONTEXTS} times what an output depends on, at least, both must be equal in "
            "every sample; left out are the end of a segment, which the whole graph pads, and of later segments what depends on samples "
            "before them."
        )
