"""Errors that a user can act on, and the one place where a command line turns them into an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # exit codes, as shells count them
RESEND_SECONDS = 0.2
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """Something the user can mend: the message says what was wrong, where, and what would help."""


def choice_error(kind: str, name: str, choices: list[str]) -> UserError:
    """A :class:`UserError` for an unknown name that lists the right ones."""
    return UserError(f"unknown {kind} '{name}'. Choose one of: {', '.join(sorted(choices))}.")


def run_command_line(app: Callable[..., Any]) -> NoReturn:
    """Run a typer application and exit.

    Exit code 1 and one line on stderr for a user's mistake and for a place that cannot be read or written; 130 for Ctrl-C and 143
    for SIGTERM, with one line, after temporary files are removed. Usage errors keep typer's exit code 2. Anything unexpected keeps
    its traceback: it is our mistake.
    """
    try:
        with _signals():
            app()
    except UserError as error:
        _end(f"error: {error}", 1)
    except KeyboardInterrupt:
        _end_interrupted(INTERRUPTED)
    except SystemExit as ended:  # typer makes one of Ctrl-C
        if ended.code in (INTERRUPTED, TERMINATED):
            _end_interrupted(int(ended.code))
        raise
    except OSError as error:
        explanation = explain_os_error(error)
        if explanation is None:
            raise
        _end(f"error: {explanation}", 1)
    sys.exit(0)


def explain_os_error(error: OSError) -> str | None:
    """What a failed access to a file comes down to; None if it was not about one."""
    place = error.filename2 or error.filename
    if error.errno in FULL:
        return f"no space left on the disk while writing {place or 'a file'}; free some and run again"
    return None if place is None else f"cannot read or write {place}: {error.strerror}"


class _Interruption(BaseException):
    """What a signal raises. Finalizers, forks, extensions that clear errors and an ``except`` for all drop it; it tells of that."""

    def __init__(self, dropped: Callable[[], None], *values: object) -> None:
        super().__init__(*values)
        self._dropped = dropped

    def __del__(self) -> None:
        self._dropped()


class _Interrupted(_Interruption, KeyboardInterrupt):
    pass


class _Terminated(_Interruption, SystemExit):
    pass


@contextmanager
def _signals() -> Iterator[None]:
    """Meanwhile SIGTERM is an exception as Ctrl-C is one, and neither is lost: a signal whose exception is dropped comes again."""
    over, timers = threading.Event(), list[threading.Timer]()

    # a variable that holds the exception would keep it alive: the frame is in its traceback
    def interrupt(*_: object) -> NoReturn:
        raise _Interrupted(lambda: send_again(signal.SIGINT))

    def terminate(*_: object) -> NoReturn:
        raise _Terminated(lambda: send_again(signal.SIGTERM), TERMINATED)

    def send_again(number: int) -> None:
        if over.is_set():
            return
        timers.append(threading.Timer(RESEND_SECONDS, lambda: os.kill(os.getpid(), number)))
        timers[-1].start()

    handlers = {signal.SIGTERM: signal.signal(signal.SIGTERM, terminate)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job has it ignored
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    hook = sys.unraisablehook
    sys.unraisablehook = lambda told: None if isinstance(told.exc_value, _Interruption) else hook(told)
    try:
        yield
    finally:
        over.set()
        for timer in timers:  # one that comes when the handlers are gone would kill the process, whose exit code is decided
            timer.cancel()
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end_interrupted(code: int) -> NoReturn:
    sys.unraisablehook = lambda _: None  # objects that were being made fail as they are torn down
    _end("interrupted: run the same command again to go on where it stopped", code)


def _end(line: str, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)
