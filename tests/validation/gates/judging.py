"""Judge one gate on an observation, with its default settings or some of them changed."""

from __future__ import annotations

import re
from typing import Any

from export_specs.schema import Profile
from validation.gate import Gate
from validation.gate_result import GateResult

COUNTED = ("clips", "estimates", "file", "impulses", "inputs and outputs", "mixtures", "operators", "runtimes", "samples", "tensors")


def judge(kind: type[Gate[Any, Any]], observed: object, profile: Profile = "quick", **settings: object) -> GateResult:
    """The one result of a gate."""
    (result,) = judge_each(kind, observed, profile, **settings)
    return result


def judge_each(kind: type[Gate[Any, Any]], observed: object, profile: Profile = "quick", **settings: object) -> list[GateResult]:
    gate = kind()
    chosen = kind.settings(**settings)
    words = gate.render(chosen, profile)
    assert len(words) > 40 and words[0].isupper() and words.endswith("."), "every gate explains itself, in sentences"
    results = list(gate.judge(observed, chosen, profile))
    for result in results:
        assert result.id == gate.id or result.id.startswith(f"{gate.id}."), "a row is named after its gate"
        assert result.rule and " " in result.rule
        if result.n == 0:
            assert result.state == "failed" and re.match(r"no evidence: \w+( \w|, |-)", result.note), "and why there is none"
        else:
            assert result.counted in COUNTED and result.limit is not None
            assert result.observed is not None or result.state == "undecided"
    return results
