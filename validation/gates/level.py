"""level: a softer recording of the same mixture is separated as well."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from export_specs.schema import Profile
from validation.bootstrap import of_the_size
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, at_most, no_evidence
from validation.level import LevelPoint


class LevelSettings(GateSettings):
    """The thresholds, by how much softer the recording is."""

    max_change_db: dict[int, float] = Field(default={6: 0.1, 12: 0.1, 20: 0.1, 40: 0.5}, description="size of the mean, SI-SDR")


class Level(Gate[Sequence[LevelPoint], LevelSettings]):
    """Size of the mean change of SI-SDR; one result for each level."""

    id = "level"
    settings = LevelSettings

    def observe(self, evidence: Evidence) -> Sequence[LevelPoint]:
        return evidence.level

    def judge(self, observed: Sequence[LevelPoint], settings: LevelSettings, profile: Profile) -> list[GateResult]:
        points = {point.softer_db: point for point in observed}
        return [_point(f"{self.id}.{level}", level, points.get(level), limit) for level, limit in settings.max_change_db.items()]

    def render(self, settings: LevelSettings, profile: Profile) -> str:
        return (
            "The network is trained at full scale, and a power-of-two gain brings every segment there. So the same mixtures, made "
            "softer, must be separated as well; at 40 dB softer the input itself has lost 7 of its 16 bits."
        )


def _point(name: str, level: int, point: LevelPoint | None, limit: float) -> GateResult:
    rule = f"change of mean SI-SDR {level} dB softer, dB"
    if point is None:
        return no_evidence(name, rule, "no mixture was judged at this level")
    return at_most(name, rule, abs(point.change), limit, point.n, "mixtures", of_the_size(point.change, point.interval), point.n)
