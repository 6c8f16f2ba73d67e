"""Errors that a user can act on, and the one place where a command line turns them into an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = "interrupted: run the same command again to go on where it stopped"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """Something the user can mend: the message says what was wrong, where, and what would help."""


def printable(text: str) -> str:
    """Text that a file tells, in one line: what is not printable (a line's end, a terminal's commands) as its escape, as in ``\\n``."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def choice_error(kind: str, name: str, choices: list[str]) -> UserError:
    """A :class:`UserError` for an unknown name that lists the right ones."""
    return UserError(f"unknown {kind} '{name}'. Choose one of: {', '.join(sorted(choices))}.")


class Interruption(BaseException):
    """What the first Ctrl-C or SIGTERM raises.

    It is no ``KeyboardInterrupt``, of which typer and lightning each make an exit code of their own.
    """


def run_command_line(app: Callable[..., Any]) -> NoReturn:
    """Run a typer application and exit.

    Exit code 1 and one line on stderr for a user's mistake and for a place that cannot be read or written; 130 for Ctrl-C and 143
    for SIGTERM, with one line, after temporary files are removed. A second signal ends the process at once. Usage errors keep
    typer's exit code 2. Anything unexpected keeps its traceback: it is our mistake.
    """
    signals = list[int]()  # those received
    try:
        with _interrupted_by_signals(signals):
            app()
    except BaseException as error:
        finished = isinstance(error, SystemExit) and not error.code
        if signals and not finished:  # whatever was raised, it was raised on the way out
            _end(INTERRUPTED, 128 + signals[0])
        explanation = _explain(error)
        if explanation is None:
            raise
        _end(f"error: {explanation}", 1)
    sys.exit(0)


def _explain(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return "\n".join(map(printable, str(error).split("\n")))  # names in damaged files may hold what commands a terminal
    return explain_os_error(error) if isinstance(error, OSError) else None


def explain_os_error(error: OSError) -> str | None:
    """What a failed access to a file comes down to; None if it was not about one."""
    place = error.filename2 or error.filename
    if error.errno in FULL:
        return f"no space left on the disk while writing {place or 'a file'}; free some and run again"
    return None if place is None else f"cannot read or write {place}: {error.strerror}"


@contextmanager
def _interrupted_by_signals(received: list[int]) -> Iterator[None]:
    """Meanwhile the first SIGINT or SIGTERM raises :class:`Interruption`, and a second one ends the process; both go into ``received``.

    A finalizer or a library may drop the exception of the first. The second drops nothing, and is what an impatient user sends.
    """

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        received.append(number)
        if len(received) > 1:
            os.write(2, f"{INTERRUPTED}\n".encode())
            os._exit(128 + number)
        sys.unraisablehook = lambda _: None  # objects that were being made fail as they are torn down
        raise Interruption

    handlers = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job has it ignored
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if not received:  # else a second one may come while Python shuts down
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _end(line: str, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)
