"""What the gates look at: the file, the ladder of stages on the evaluation sets, and the same mixtures softer or with a constant."""

from __future__ import annotations

from dataclasses import dataclass

from export_specs.schema import TargetSpec
from validation.config import JudgeConfig
from validation.input_contract import Contract
from validation.inspection import Inspection
from validation.ladder import StageResult
from validation.ladder_run import LadderRun
from validation.level import LevelPoint
from validation.theory import EstimatePoint
from validation.vela import NpuEstimate


@dataclass(frozen=True)
class Evidence:
    """All evidence of one judgement. ``test_set`` names the set that the gates of the task look at."""

    config: JudgeConfig
    target: TargetSpec
    file: Inspection
    ladder: LadderRun
    level: list[LevelPoint]
    contract: Contract | None
    npu: list[NpuEstimate]
    test_set: str

    def stage(self, name: str) -> StageResult | None:
        """A stage's result on the test set; None where it did not run there."""
        return self.ladder.test_result(name, self.test_set)

    @property
    def subject(self) -> StageResult | None:
        """The stage that ships."""
        return self.stage(self.config.subject)

    @property
    def reference(self) -> StageResult | None:
        """The float stage."""
        return self.stage(self.config.reference)

    @property
    def points(self) -> list[EstimatePoint]:
        """The theory's figures of every estimate of the subject, on test and sweep sets."""
        return self.ladder.points.get(self.config.subject, [])

    @property
    def named_sources(self) -> bool:
        """Whether the sources have names and places (music), so that there is no order of speakers and no STOI."""
        return any(item.named for item in self.file.data.items)
