"""Two reports side by side: changes beyond the intervals, on the same mixtures alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from export_specs.foundation.errors import UserError
from validation import __main__ as command
from validation.compare import compare, comparison_lines, left_out
from validation.parity import Parity


def report(si_sdr: float = 8.0, noise: float = 0.0, state: str = "passed", size: int = 500_000, manifest: str = "a", n: int = 40) -> Parity:
    """A report of one set, one stage and one gate, as far as a comparison reads it."""
    random = np.random.default_rng(1)
    easy, change = random.normal(0, 5, n), noise * random.normal(0, 1, n)
    items = [SimpleNamespace(id=f"m{k}", si_sdr=float(si_sdr + easy[k] + change[k]), stoi=None) for k in range(n)]
    return cast(Any, SimpleNamespace(
        data=[SimpleNamespace(name="test", manifest_sha256=manifest)],
        gates=[SimpleNamespace(id="task.mean", state=state, observed=0.1, limit=0.3)],
        ladder=[SimpleNamespace(set="test", stage="litert-ref", beside=False, items=items)],
        resources=SimpleNamespace(file_bytes=size, arena_bytes=None, cost=None),
    ))  # fmt: skip


def states(old: Parity, new: Parity) -> dict[str, str]:
    return {change.what: change.state for change in compare(old, new)}


QUALITY = "test: litert-ref, SI-SDR, dB"


def test_a_small_change_of_every_mixture_shows_where_mixtures_differ_by_much() -> None:
    """0.1 dB beside a spread of 5 dB over the mixtures: paired it is sure."""
    assert states(report(), report(8.0)) == {"task.mean": "same", QUALITY: "same", "bytes of the file": "same"}
    assert states(report(), report(7.9, noise=0.1))[QUALITY] == "worse"
    assert states(report(), report(8.1, noise=0.1))[QUALITY] == "better"


def test_what_may_be_chance_is_no_change() -> None:
    assert states(report(), report(7.9, noise=2.0))[QUALITY] == "same"


def test_other_mixtures_are_not_compared() -> None:
    old, new = report(manifest="a"), report(5.0, manifest="b")
    assert QUALITY not in states(old, new)
    assert left_out(old, new) == ["set test: other mixtures"]


def test_gates_and_sizes() -> None:
    assert states(report(), report(state="undecided"))["task.mean"] == "worse"
    assert states(report(state="failed"), report(state="undecided"))["task.mean"] == "better"
    assert states(report(), report(size=504_000))["bytes of the file"] == "same"
    assert states(report(), report(size=506_000))["bytes of the file"] == "worse"
    assert states(report(), report(size=400_000))["bytes of the file"] == "better"


def test_what_only_one_report_has_is_named() -> None:
    new = report()
    cast(Any, new).gates = [SimpleNamespace(id="task.new", state="passed", observed=None, limit=None)]
    assert left_out(report(), new) == ["task.mean: only in the old report", "task.new: only in the new report"]


def test_a_regression_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    reports = {"old": report(), "new": report(7.5, noise=0.1), "again": report()}
    monkeypatch.setattr(command, "read_parity", lambda path: reports[path.name])
    command.compare_command(Path("old"), Path("again"))
    assert capsys.readouterr().out == "3 the same, within the intervals\n"
    with pytest.raises(UserError, match=r"1 got worse: test: litert-ref, SI-SDR, dB"):
        command.compare_command(Path("old"), Path("new"))
    assert comparison_lines(compare(reports["old"], reports["new"]), [])[0].startswith(f"worse: {QUALITY}: ")
    assert "n = 40)" in capsys.readouterr().out
