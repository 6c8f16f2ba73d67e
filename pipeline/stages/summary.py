"""What a deployment came to, in the few lines that end it; every figure is the report's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.foundation.errors import UserError

WIDTH = 10


def summary_lines(parity: Mapping[str, Any], place: Path) -> list[str]:
    """The report's tiles, the gates that did not pass, and where the files are; of the content of a ``parity.json``."""
    lines = [f"{tile['label']:<{WIDTH}}{tile['value']}{'; ' + tile['note'] if tile['note'] else ''}" for tile in parity["tiles"]]
    lines += [f"{gate['state']:<{WIDTH}}{_gate(gate)}" for gate in parity["gates"] if gate["state"] != "passed"]
    return [*lines, f"{'look at':<{WIDTH}}{place / 'parity.html'} (all of it), {place / 'summary.md'} (a page), {place / 'audio'} (listen)"]


def raise_failure(parity: Mapping[str, Any], place: Path) -> None:
    """Exit code 1 for a failed gate: the report and the files are there all the same.

    Raises:
        UserError: it names each failed gate with its value and its limit.
    """
    if parity["verdict"]["state"] != "failed":
        return
    failed = "; ".join(_gate(gate) for gate in parity["gates"] if gate["state"] == "failed") or "no gate gave a result"
    raise UserError(f"{parity['verdict']['words']}: {failed}. See {place / 'summary.md'} and docs/how-to/read-the-report.md.")


def _gate(gate: Mapping[str, Any]) -> str:
    """ "task.order: 3 (limit 2) of 96 mixtures, RULE"; the note says what was lacking."""
    interval = gate["interval"]
    spread = f", 95 % {_number(interval['low'])} … {_number(interval['high'])}" if interval else ""
    measured = f"{_number(gate['observed'])} (limit {_number(gate['limit'])}{spread})" if gate["observed"] is not None else "not measured"
    evidence = f" of {gate['n']} {gate['counted']}" if gate["counted"] else ""
    return f"{gate['id']}: {measured}{evidence}; {gate['note'] or gate['rule']}"


def _number(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)
