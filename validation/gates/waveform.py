"""task.waveform: LiteRT and ONNX Runtime separate equally well."""

from __future__ import annotations

from pydantic import Field

from export_specs.schema import Profile
from validation.bootstrap import of_the_size
from validation.evidence import Evidence
from validation.gate import ByProfile, Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.ladder import StageResult, mean_difference


class WaveformSettings(GateSettings):
    """The thresholds."""

    max_difference_db: ByProfile = Field(default={"ptq": 0.1, "quick": 0.05, "full": 0.05}, description="size of the mean, SI-SDR")


class Waveform(Gate[tuple[StageResult | None, StageResult | None], WaveformSettings]):
    """Size of the mean difference of SI-SDR between the two ways to run the network; asked where the target has both."""

    id = "task.waveform"
    settings = WaveformSettings

    def asked(self, evidence: Evidence, settings: WaveformSettings) -> bool:
        return evidence.target.format == "tflite" and {"litert-ref", "onnxruntime"} <= set(evidence.target.runtimes)

    def observe(self, evidence: Evidence) -> tuple[StageResult | None, StageResult | None]:
        return evidence.stage("litert-ref"), evidence.stage("onnxruntime")

    def judge(
        self, observed: tuple[StageResult | None, StageResult | None], settings: WaveformSettings, profile: Profile
    ) -> list[GateResult]:
        rule = "mean difference of SI-SDR between LiteRT and ONNX Runtime, dB"
        litert, onnx = observed
        if litert is None or onnx is None:
            return [no_evidence(self.id, rule, "one of the two is no stage of the ladder")]
        mean, interval, n = mean_difference(onnx, litert)
        limit = settings.max_difference_db[profile]
        return [at_most(self.id, rule, abs(mean), limit, n, "mixtures", of_the_size(mean, interval), n)]

    def render(self, settings: WaveformSettings, profile: Profile) -> str:
        return (
            "The TFLite file and the QDQ ONNX file are the same network, run by kernels that round ties otherwise. One code grows "
            "from layer to layer, so their waveforms differ; they must not differ in quality."
        )
