"""Errors that a user can act on, and the one place where a command line turns them into an exit code."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # exit codes, as shells count them
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
    signal.signal(signal.SIGTERM, _terminate)
    try:
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


def _terminate(*_: object) -> NoReturn:
    sys.exit(TERMINATED)


def _end_interrupted(code: int) -> NoReturn:
    _end("interrupted: run the same command again to go on where it stopped", code)


def _end(line: str, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)
