"""Rendering parity.json for people: parity.html (one file, no network) and summary.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import jinja2

from export_specs.foundation.atomic import write_text
from validation.gate_result import Excuse, GateResult
from validation.golden_inputs import OpComparison
from validation.layers import LSB_LABELS, TensorComparison
from validation.parity import Parity
from validation.players import RANGE_DB, heard
from validation.plots import ladder_plot, layer_plot, lsb_plot
from validation.sdr_bins import bin_words
from validation.theory_plots import loss_plot, sdr_plot, snr_histogram

_SUMMARY_LINES = 40
_NOISIEST = 10
_TOLD = ("task.", "theory.", "resources.", "exact.")
_QUESTIONS = {"Does it fit?": ("size", "memory"), "Is it good?": ("loss",), "Is it fast?": ("speed", "latency")}  # by the tiles' labels


def render(parity: Parity, folder: Path, out: Path | None = None) -> None:
    """Write parity.html and summary.md into ``out`` (by default ``folder``); the players take the recordings from ``folder``/audio.

    Raises:
        UserError: a recording that parity.json names is missing from the folder.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("validation"), autoescape=jinja2.select_autoescape(["html.j2"]), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, sign=sign, bin=lambda found: bin_words((found.low, found.high)))
    told = [gate for gate in parity.gates if gate.state != "passed" or gate.id.startswith(_TOLD)]
    shared = {
        "told_gates": told,
        "other_gates": [gate.id for gate in parity.gates if gate not in told],
        "parity": parity,
        "questions": _QUESTIONS,
        "headline": headline(parity),
        "range_db": RANGE_DB,
        "exceptions": exceptions(parity.gates),
        "lsb_labels": LSB_LABELS,
        "noisiest": sorted(parity.layers.noise, key=lambda noise: noise.own)[:_NOISIEST],
        "worst_ops": {name: worst_ops(found) for name, found in parity.layers.golden_inputs.items()},
        "worst_tensors": {c.runtime: worst_tensors(c.tensors) for c in parity.layers.free},
    }
    plots = {
        "ladder": ladder_plot(parity),
        "sdr": sdr_plot(parity) if parity.points else "",
        "loss": loss_plot(parity) if parity.theory else "",
        "snr": snr_histogram(parity) if parity.points else "",
        "layers": layer_plot(parity),
        "lsb": lsb_plot(parity),
    }
    page = environment.get_template("parity.html.j2").render(**shared, plots=plots, heard=heard(parity.audio, folder))
    summary = environment.get_template("summary.md.j2").render(**shared)
    lines = summary.rstrip().splitlines()
    if len(lines) > _SUMMARY_LINES:
        lines = [*lines[: _SUMMARY_LINES - 1], f"… {len(lines) - _SUMMARY_LINES + 1} more lines in parity.html"]
    write_text((out or folder) / "parity.html", page)
    write_text((out or folder) / "summary.md", "\n".join(lines) + "\n")


def headline(parity: Parity) -> str:
    """The report's first line: what was not tested."""
    return f"Not tested: {'; '.join(parity.not_tested)}."


def exceptions(results: Sequence[GateResult]) -> list[tuple[str, Excuse]]:
    """Every exception of the target with the gate it belongs to (its family for "near.<runtime>") and all that it excused there."""
    found: dict[tuple[str, str], Excuse] = {}
    for result in results:
        family = "near" if result.id.startswith("near.") else result.id
        for excuse in result.excuses:
            before = found.get((family, excuse.pattern))
            count = excuse.count + (before.count if before else 0)
            found[family, excuse.pattern] = excuse.model_copy(update={"count": count})
    return [(family, excuse) for (family, _), excuse in found.items()]


def worst_ops(found: Sequence[OpComparison], count: int = 10) -> list[OpComparison]:
    """The operators that differ most from golden: by LSB, then by share."""
    return sorted((f for f in found if f.max_lsb), key=lambda f: (-f.max_lsb, -f.share))[:count]


def worst_tensors(found: Sequence[TensorComparison], count: int = 10) -> list[TensorComparison]:
    """The tensors of the lowest SQNR."""
    return sorted((t for t in found if t.max_lsb), key=lambda t: t.sqnr)[:count]


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: a dash for what was not measured, thousands apart, infinity by its sign."""
    if value is None:
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer():
        return f"{int(value):,}".replace("-", "−")
    return f"{value:,.{digits}f}".replace("-", "−")


def sign(value: float, digits: int = 3) -> str:
    """As :func:`number`, with a plus for gains."""
    return ("+" if value > 0 else "") + number(value, digits)
