"""The verdict over all gates, in numbers and in words that never call undecided what passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from validation.gate_result import GateResult
from validation.record import Record


class Verdict(Record):
    """How many gates passed, are undecided, failed, and which are the last two. ``words`` say it: "21 passed, 2 undecided, 0 failed".

    ``state`` is "passed" where all passed, "undecided" where none failed but some are undecided, "not judged" for a target without gates.
    """

    state: Literal["passed", "undecided", "failed", "not judged"]
    words: str
    passed: int
    undecided: list[str]
    failed: list[str]


def verdict(results: Sequence[GateResult], judged: bool = True) -> Verdict:
    """The verdict; ``judged`` False: the target has no gates (a baseline). A target that has gates and no result has failed."""
    if not judged:
        return Verdict(state="not judged", words="not judged: a baseline without gates", passed=0, undecided=[], failed=[])
    passed, undecided, failed = ([r.id for r in results if r.state == state] for state in ("passed", "undecided", "failed"))
    words = f"{len(passed)} passed, {len(undecided)} undecided, {len(failed)} failed"
    if failed or not results:
        return Verdict(state="failed", words=words, passed=len(passed), undecided=undecided, failed=failed)
    return Verdict(state="undecided" if undecided else "passed", words=words, passed=len(passed), undecided=undecided, failed=failed)
