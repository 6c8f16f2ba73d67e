"""What ends a deployment: the report's figures, and each gate that did not pass with its value and its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from export_specs.foundation.errors import UserError
from pipeline.stages import summary
from pipeline.stages.summary import raise_failure, summary_lines
from pipeline.stages.words import WORDS
from pipeline.study import further_training

PLACE = Path("dist/x")


def gate(name: str, state: str, observed: float | None, limit: float | None, **more: Any) -> dict[str, Any]:
    found = {"id": name, "rule": "a rule", "state": state, "observed": observed, "limit": limit, "interval": None, "n": 96}
    return {**found, "counted": "mixtures", "note": "", **more}


def parity(*gates: dict[str, Any]) -> dict[str, Any]:
    failed = [found["id"] for found in gates if found["state"] == "failed"]
    tiles = [{"label": "loss", "value": "0.16 dB", "note": "96 mixtures"}, {"label": "latency", "value": "4.00 s", "note": ""}]
    return {"tiles": tiles, "gates": gates, "verdict": {"state": "failed" if failed else "passed", "words": f"{len(failed)} failed"}}


def test_every_figure_and_every_gate_that_did_not_pass_is_told() -> None:
    interval = {"low": 0.05, "high": 0.28}
    found = parity(gate("task.mean", "passed", 0.1, 0.3), gate("task.stoi", "undecided", 0.004, 0.005, interval=interval, note="too few"))
    assert summary_lines(found, PLACE) == [
        "loss      0.16 dB; 96 mixtures",
        "latency   4.00 s",
        "undecided task.stoi: 0.004 (limit 0.005, 95 % 0.05 … 0.28) of 96 mixtures; too few",
        "look at   dist/x/parity.html (all of it), dist/x/summary.md (a page), dist/x/audio (listen)",
    ]
    raise_failure(found, PLACE)


def test_a_failed_gate_is_named_with_value_and_limit() -> None:
    unmeasured = gate("exact.tflm", "failed", None, None, counted="", note="no evidence: it does not run")
    with pytest.raises(UserError) as failure:
        raise_failure(parity(gate("task.order", "failed", 3, 2), unmeasured), PLACE)
    assert str(failure.value) == (
        "2 failed: task.order: 3 (limit 2) of 96 mixtures; a rule; exact.tflm: not measured; no evidence: it does not run. "
        "See dist/x/summary.md and docs/how-to/read-the-report.md."
    )


def test_every_stage_says_what_it_does_and_how_long_it_takes() -> None:
    rooms = [Path(module.__file__).parent for module in (summary, further_training)]
    stages = {path.stem for room in rooms for path in room.glob("*.py") if "\ndef run(folder: Path" in path.read_text()}
    assert stages == set(WORDS) and len(stages) > 10
