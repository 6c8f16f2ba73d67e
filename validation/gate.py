"""What a gate is: one rule, with the evidence it takes, the threshold it has, and the words that explain it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate_result import GateResult

ByProfile = dict[Profile, float]


class GateSettings(BaseModel):
    """Base of every gate's settings: each has a default, a target's ``gates`` overrides it, unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Settings = TypeVar("Settings", bound=GateSettings)
Observation = TypeVar("Observation")


class Gate(ABC, Generic[Observation, Settings]):
    """One rule about the file that ships.

    A module in ``validation/gates`` with one subclass is all there is to a gate (docs/how-to/add-a-gate.md). ``id`` is "family.name"; a
    gate that gives several results names them "id.part".
    """

    id: ClassVar[str]
    settings: ClassVar[type[GateSettings]] = GateSettings

    def asked(self, evidence: Evidence, settings: Settings) -> bool:
        """Whether this target asks it of this file, by what the target and the task are, never by what was found. By default always."""
        return True

    @abstractmethod
    def observe(self, evidence: Evidence) -> Observation:
        """Take from the evidence what the rule is about; measure what no other gate needs."""

    @abstractmethod
    def judge(self, observed: Observation, settings: Settings, profile: Profile) -> Sequence[GateResult]:
        """Compare the observation with the thresholds. Pure: the same observation gives the same result."""

    @abstractmethod
    def render(self, settings: Settings, profile: Profile) -> str:
        """The report's paragraph below the row: what is asked, with these thresholds, and why, for a reader who meets it first."""


AnyGate = Gate[Any, Any]
