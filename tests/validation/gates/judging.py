"""Judge one gate on an observation, with its default settings or some of them changed."""

from __future__ import annotations

from typing import Any

from export_specs.schema import Profile
from validation.gate import Gate
from validation.gate_result import GateResult


def judge(kind: type[Gate[Any, Any]], observed: object, profile: Profile = "quick", **settings: object) -> GateResult:
    """The one result of a gate."""
    (result,) = judge_each(kind, observed, profile, **settings)
    return result


def judge_each(kind: type[Gate[Any, Any]], observed: object, profile: Profile = "quick", **settings: object) -> list[GateResult]:
    gate = kind()
    chosen = kind.settings(**settings)
    assert len(gate.render(chosen, profile)) > 40, "every gate explains itself"
    return list(gate.judge(observed, chosen, profile))
