"""structure.silence: zeros in, zeros out."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from export_specs.schema import Profile
from validation.behaviour import ZEROS
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most


class SilenceSettings(GateSettings):
    """The threshold."""

    max_codes: int = Field(default=1, ge=0, description="largest size of an output sample for an input of zeros, in codes of int16")


class Silence(Gate[Mapping[str, int], SilenceSettings]):
    """The float networks answer zeros with exact zeros."""

    id = "structure.silence"
    settings = SilenceSettings

    def observe(self, evidence: Evidence) -> Mapping[str, int]:
        """The largest output sample for zeros, by runtime."""
        return {found.runtime: found.peaks[ZEROS] for found in evidence.file.behaviour if found.problem is None}

    def judge(self, observed: Mapping[str, int], settings: SilenceSettings, profile: Profile) -> list[GateResult]:
        rule = "zeros in, zeros out, of the file itself: largest output sample, codes"
        loudest = max(observed.values(), default=0)
        result = at_most(self.id, rule, loudest, settings.max_codes, len(observed), "runtimes")
        loud = [f"{runtime}: {peak} codes" for runtime, peak in observed.items() if peak > settings.max_codes]
        return [result.noted(*loud)]

    def render(self, settings: SilenceSettings, profile: Profile) -> str:
        return (
            "The float network answers zeros with exact zeros. The file is run on a segment of zeros in every runtime; a constant "
            "in its output would be heard in every pause. Separating a recording does not show it, because silent segments are "
            "never run. Of a network with a float front end, the samples behind it are judged: it scales by the segment's "
            "deviation, as the float network does."
        )
