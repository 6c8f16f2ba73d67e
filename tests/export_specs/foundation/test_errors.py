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
from export_specs.foundation.errors import RESEND_SECONDS, TERMINATED, UserError, run_command_line

ROOT = Path(__file__).parents[3]
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


def test_ctrl_c(end: Command) -> None:
    code, said = end(failing(KeyboardInterrupt()))
    assert (code, said.count("\n")) == (130, 1)
    assert "run the same command again" in said


def test_sigterm_removes_temporary_files(end: Command, tmp_path: Path) -> None:
    def work() -> None:
        with atomic_path(tmp_path / "file") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)

    code, said = end(work)
    assert (code, said.count("\n")) == (143, 1)
    assert not list(tmp_path.iterdir())


def in_a_finalizer(sent: signal.Signals) -> None:
    class Loader:
        def __del__(self) -> None:
            signal.raise_signal(sent)

    Loader()


def below_an_except_for_all(sent: signal.Signals) -> None:
    with suppress(BaseException):
        signal.raise_signal(sent)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A shell's background job has SIGINT ignored, and a test run in it too."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("drop", [in_a_finalizer, below_an_except_for_all])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_dropped_signal_comes_again(end: Command, sent: signal.Signals, code: int, drop: Callable[[signal.Signals], None]) -> None:
    def work() -> None:
        drop(sent)
        time.sleep(30)

    assert end(work) == (code, "interrupted: run the same command again to go on where it stopped\n")


def test_a_signal_that_comes_again_does_not_outlive_the_command(end: Command) -> None:
    """Dropped, and noticed by other means before it is sent again: the exit code is that of the first."""

    def work() -> None:
        below_an_except_for_all(signal.SIGTERM)
        raise SystemExit(TERMINATED)

    handler = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it came again"))
    try:
        assert end(work)[0] == TERMINATED
        time.sleep(2 * RESEND_SECONDS)
    finally:
        signal.signal(signal.SIGTERM, handler)


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
