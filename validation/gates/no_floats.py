"""structure.float: nothing in the file is float."""

from __future__ import annotations

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of
from validation.structure import Structure


class NoFloats(Gate[Structure, GateSettings]):
    """Every tensor is an integer; of QDQ ONNX, every constant that is no scale."""

    id = "structure.float"

    def observe(self, evidence: Evidence) -> Structure:
        return evidence.file.structure

    def judge(self, observed: Structure, settings: GateSettings, profile: Profile) -> list[GateResult]:
        rule = "no float tensor" if observed.format == "tflite" else "no float constant but scales"
        return [none_of(self.id, rule, observed.float_tensors, sum(observed.dtypes.values()), "tensors")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "Every tensor of the file is an integer, so that it runs on hardware without floating point. In QDQ ONNX the arithmetic is "
            "written in float between a DequantizeLinear and a QuantizeLinear; there, no weight may be left in float."
        )
