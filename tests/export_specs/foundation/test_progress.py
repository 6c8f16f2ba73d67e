"""Signs of life: what a log and a terminal show of long work, and that the work itself does not notice."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from export_specs.foundation import progress
from export_specs.foundation.progress import at_work, handed_over, say, tracked


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that gets a line every 50 ms."""
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    monkeypatch.setattr(progress, "_shown", progress._Lines())


def test_a_log_tells_where_the_innermost_work_stands(capsys: pytest.CaptureFixture[str]) -> None:
    with at_work("3/9 ranges"):
        for _ in tracked(range(4), "batch"):
            time.sleep(0.08)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 6
    assert all(line.startswith("  3/9 ranges: batch, ") for line in lines[:-1])
    assert any(" of 4, " in line and " s to go" in line for line in lines)


def test_a_single_long_call_is_told_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with at_work("conversion"):
        time.sleep(0.2)
    assert capsys.readouterr().err.startswith("  conversion, 0 s\n")
    time.sleep(0.15)
    assert capsys.readouterr().err == ""  # nothing is told of what has ended


def test_other_lines_put_off_the_next_sign(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.3)
    with at_work("judging"):
        for number in range(4):
            say(f"line {number}")
            time.sleep(0.1)
    assert capsys.readouterr().err.splitlines() == [f"line {number}" for number in range(4)]


def test_nothing_is_told_while_another_process_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    with at_work("report"), handed_over():
        time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_items_and_errors_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(tracked(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert list(tracked(range(0), "nothing")) == []
    with pytest.raises(ZeroDivisionError), at_work("a mistake"):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_bars_that_go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = progress._Bars()
    screen = io.StringIO()
    bars._console = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "_shown", bars)
    with at_work("3/9 ranges"):
        for _ in tracked(range(2), "batch"):
            say("a line")
            time.sleep(0.15)
        with handed_over():
            assert bars._bars is not None and not bars._bars.live.is_started
    assert all(part in screen.getvalue() for part in ("3/9 ranges", "batch", "1/2", "a line\n"))
    assert bars._bars is None and not bars._tasks
