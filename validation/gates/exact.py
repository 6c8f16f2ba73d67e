"""exact.tflm: TFLite Micro computes every tensor exactly as LiteRT's reference kernels do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, excuses, no_evidence, none_of, told
from validation.layers import RuntimeComparison


@dataclass(frozen=True)
class ExactEvidence:
    """TFLM's tensors against the golden ones (None: TFLM does not run the file), the operator that makes each tensor, and the operators
    {name: reason} that may differ."""

    comparison: RuntimeComparison | None
    ops: Mapping[str, str]
    exceptions: Mapping[str, str]


def equal_to_golden(name: str, rule: str, observed: ExactEvidence, runtime: str) -> GateResult:
    """Passed where every golden tensor is there and the same, but for those of excepted operators. ``runtime``: what it is called."""
    if observed.comparison is None:
        return no_evidence(name, rule, f"{runtime} did not run the file")
    differing = [(tensor, observed.ops.get(tensor, "")) for tensor in observed.comparison.unequal]
    missing = [(tensor, observed.ops.get(tensor, "")) for tensor in observed.comparison.only_golden]
    unexcused = [tensor for tensor, op in (*differing, *missing) if op not in observed.exceptions]
    found = excuses(observed.exceptions, [op for _, op in (*differing, *missing) if op in observed.exceptions])
    compared = len(observed.comparison.tensors) + len(observed.comparison.shapes_differ)
    gate = none_of(name, rule, unexcused, compared, "tensors")
    return gate.noted(*told(found)).model_copy(update={"excuses": found})


class Exact(Gate[ExactEvidence, GateSettings]):
    """0 LSB on every tensor."""

    id = "exact.tflm"

    def asked(self, evidence: Evidence, settings: GateSettings) -> bool:
        return "tflm" in evidence.target.runtimes

    def observe(self, evidence: Evidence) -> ExactEvidence:
        tflm = next((found for found in evidence.file.free if found.runtime == "tflm"), None)
        return ExactEvidence(tflm, evidence.file.ops, evidence.target.exact_exceptions)

    def judge(self, observed: ExactEvidence, settings: GateSettings, profile: Profile) -> list[GateResult]:
        rule = "LiteRT BUILTIN_REF = TFLM, 0 LSB on every inner tensor and the output"
        return [equal_to_golden(self.id, rule, observed, "TFLM")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "TFLite Micro runs the file on a few clips, and every inner tensor and the output equal those of LiteRT's reference "
            "kernels to the last bit. What was measured on this computer is then what a microcontroller computes."
        )
