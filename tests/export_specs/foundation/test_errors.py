"""How a command ends: exit code, one line, no traceback, nothing half written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from export_specs.foundation.atomic import atomic_path, write_bytes
from export_specs.foundation.errors import UserError, run_command_line

ROOT = Path(__file__).parents[3]
LINE = "interrupted: run the same command again to go on where it stopped\n"
Command = Callable[[Callable[[], None]], tuple[object, str]]


@pytest.fixture
def end(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a function as a command; its exit code and what it said on stderr."""

    def run(work: Callable[[], None]) -> tuple[object, str]:
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(work)
        monkeypatch.setattr(sys, "argv", ["command"])
        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # a command that is interrupted leaves it silent
        with pytest.raises(SystemExit) as ended:
            run_command_line(app)
        return ended.value.code, capsys.readouterr().err

    return run


def failing(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_a_users_mistake(end: Command) -> None:
    assert end(failing(UserError("no such model"))) == (1, "error: no such model\n")
    assert end(failing(UserError("no tensor \x1b[2Jw\u00e9"))) == (1, "error: no tensor \\x1b[2Jw\u00e9\n"), "terminals obey no file"


@pytest.fixture(params=[(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"])
def interruption(request: pytest.FixtureRequest) -> Iterator[tuple[signal.Signals, int]]:
    """A signal and the exit code it stands for. A shell's background job has SIGINT ignored, and a test run in it too."""
    handlers = {sent: signal.getsignal(sent) for sent in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield request.param
    for sent, handler in handlers.items():
        signal.signal(sent, handler)


def test_a_signal_ends_a_command_and_removes_temporary_files(
    end: Command, interruption: tuple[signal.Signals, int], tmp_path: Path
) -> None:
    sent, code = interruption

    def work() -> None:
        with atomic_path(tmp_path / "file") as temporary:
            temporary.write_text("half")
            signal.raise_signal(sent)

    assert end(work) == (code, LINE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", [RuntimeError("the batch is not there"), SystemExit(1), UserError("no report"), OSError(5, "x", "y")])
def test_what_fails_on_the_way_out_is_not_told(end: Command, interruption: tuple[signal.Signals, int], other: BaseException) -> None:
    """As where a library makes an exit code of its own of an interruption, or its clean-up fails on what is not there yet."""
    sent, code = interruption

    def work() -> None:
        try:
            signal.raise_signal(sent)
        except BaseException:
            raise other from None

    assert end(work) == (code, LINE)


def test_a_command_that_finishes_all_the_same_has_succeeded(end: Command, interruption: tuple[signal.Signals, int]) -> None:
    def work() -> None:
        with suppress(BaseException):
            signal.raise_signal(interruption[0])

    assert end(work) == (0, "")


@pytest.mark.parametrize("drop", ["contextlib.suppress(BaseException)", "Finalizer()"])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_is_the_end(interruption: tuple[signal.Signals, int], second: signal.Signals, drop: str) -> None:
    """Also where the exception of the first was dropped, in a finalizer or under an except for all, and where a clean-up never ends."""
    program = f"""
import contextlib, signal, sys, time
from export_specs.foundation.errors import run_command_line
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finalizer(contextlib.nullcontext):
    def __del__(self):
        signal.raise_signal({int(interruption[0])})
def work():
    if "Finalizer" in {drop!r}:
        {drop}
    else:
        with {drop}:
            signal.raise_signal({int(interruption[0])})
    print("went on", flush=True)
    try:
        time.sleep(30)
    finally:
        time.sleep(30)
run_command_line(work)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "went on\n"
        start = time.monotonic()
        process.send_signal(second)
        said = process.communicate(timeout=20)[1]
    assert (process.returncode, said) == (128 + second, LINE)
    assert time.monotonic() - start < 10


def test_an_ignored_ctrl_c_stays_ignored(end: Command, interruption: tuple[signal.Signals, int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert end(lambda: signal.raise_signal(signal.SIGINT)) == (0, "")


def test_handlers_are_put_back(end: Command, interruption: tuple[signal.Signals, int]) -> None:
    before = [signal.getsignal(sent) for sent in (signal.SIGINT, signal.SIGTERM)]
    end(lambda: None)
    assert [signal.getsignal(sent) for sent in (signal.SIGINT, signal.SIGTERM)] == before


def test_full_disk(end: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert end(lambda: write_bytes(tmp_path / "result", b"x")) == (
        1,
        f"error: no space left on the disk while writing {tmp_path / 'result'}; free some and run again\n",
    )
    assert not list(tmp_path.iterdir())


def test_limit_of_file_sizes(tmp_path: Path) -> None:
    """As on a full disk, it is the system that refuses the write."""
    program = (
        "import resource; from pathlib import Path; from export_specs.foundation.atomic import write_bytes\n"
        "from export_specs.foundation.errors import run_command_line\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "run_command_line(lambda: write_bytes(Path('result'), bytes(5000)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: no space left on the disk while writing result; free some and run again\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("place", "reason"), [("file/x", "file"), ("folder", "folder"), ("a" * 300, "too long")])
def test_places_that_cannot_be_written(end: Command, place: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    code, said = end(lambda: write_bytes(tmp_path / place, b"x"))
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("error: cannot read or write") and reason in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize("error", [ValueError("ours"), OSError(errno.EINVAL, "ours")])
def test_our_own_mistakes_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(error), match="ours"):
        run_command_line(failing(error))
