"""near: XNNPACK and ONNX Runtime compute every operator almost as LiteRT's reference kernels do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import Field

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, excuses, no_evidence, none_of, told
from validation.golden_inputs import OpComparison

RUNTIMES = ("litert-xnnpack", "onnxruntime")


class NearSettings(GateSettings):
    """The thresholds."""

    max_lsb: int = Field(default=1, ge=0, description="largest difference of a value, in codes")
    max_lsb_of_loops: int = Field(default=2, ge=0, description="looser for loops: rounding error accumulates over steps")
    max_share: float = Field(default=0.005, ge=0, le=1, description="largest share of a tensor's values that may differ")


@dataclass(frozen=True)
class NearEvidence:
    """Every operator's output by runtime, from golden inputs over ``clips`` clips, the TFLite operator that makes each tensor, and the
    exceptions {operator or tensor, * and ? allowed: reason}."""

    found: Mapping[str, Sequence[OpComparison] | None]
    clips: int
    ops: Mapping[str, str]
    exceptions: Mapping[str, str]


class Near(Gate[NearEvidence, NearSettings]):
    """Op by op with golden inputs, one result for each runtime.

    A scalar has one value per clip, so one rounding tie exceeds any percentage limit: one value per clip may always differ. Exceptions
    may differ on a larger share of the values, never by more codes; loops have a limit of their own.
    """

    id = "near"
    settings = NearSettings

    def asked(self, evidence: Evidence, settings: NearSettings) -> bool:
        return evidence.target.format == "tflite" and any(runtime in RUNTIMES for runtime in evidence.target.runtimes)

    def observe(self, evidence: Evidence) -> NearEvidence:
        wanted = [runtime for runtime in RUNTIMES if runtime in evidence.target.runtimes]
        found = {runtime: evidence.file.golden_inputs.get(runtime) for runtime in wanted}
        return NearEvidence(found, len(evidence.file.clips), evidence.file.ops, evidence.target.near_exceptions)

    def judge(self, observed: NearEvidence, settings: NearSettings, profile: Profile) -> list[GateResult]:
        return [_runtime(f"{self.id}.{name}", found, observed, settings) for name, found in observed.found.items()]

    def render(self, settings: NearSettings, profile: Profile) -> str:
        return (
            "The file's operators are cut apart, and each is given the reference kernels' own inputs, so that no error is carried "
            f"on. Fast kernels round ties otherwise: at most {settings.max_lsb} code on at most {settings.max_share:.1%} of a "
            "tensor's values, or on one value per clip. The target's near_exceptions name the operators and tensors that may differ "
            "on more values, with the reason (docs/adr/0005-near-gate-exceptions.md)."
        )


def _runtime(name: str, found: Sequence[OpComparison] | None, observed: NearEvidence, settings: NearSettings) -> GateResult:
    rule = f"op by op with golden inputs: at most {settings.max_lsb} LSB on at most {settings.max_share:.1%} of the values or one a clip"
    if any(fnmatchcase("WHILE", pattern) for pattern in observed.exceptions):
        rule += f"; loops at most {settings.max_lsb_of_loops} LSB"
    if found is None:
        return no_evidence(name, rule, "the runtime does not run the file, or the file holds float tensors")
    bad: list[str] = []
    excused: list[str] = []
    for comparison in sorted(found, key=lambda f: (-f.max_lsb, -f.share)):
        names = (observed.ops.get(comparison.tensor, comparison.op), comparison.tensor)
        pattern = next((p for p in observed.exceptions if any(fnmatchcase(name, p) for name in names)), None)
        loop = names[0] == "WHILE" and pattern is not None
        max_lsb = settings.max_lsb_of_loops if loop else settings.max_lsb
        many = comparison.share > settings.max_share and round(comparison.share * comparison.values) > observed.clips
        beyond = comparison.max_lsb > settings.max_lsb or many
        if comparison.max_lsb > max_lsb or (beyond and pattern is None):
            bad.append(f"{comparison.tensor} ({comparison.op}): {comparison.max_lsb} LSB, {comparison.share:.2%}")
        elif beyond and pattern is not None:
            excused.append(pattern)
    taken = excuses(observed.exceptions, excused)
    return none_of(name, rule, bad, len(found), "operators").noted(*told(taken)).model_copy(update={"excuses": taken})
