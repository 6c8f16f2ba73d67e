"""Errors that a user can act on, and the one place where a command line turns them into an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class UserError(Exception):
    """Something the user can mend: the message says what was wrong, where, and what would help."""


def choice_error(kind: str, name: str, choices: list[str]) -> UserError:
    """A :class:`UserError` for an unknown name that lists the right ones."""
    return UserError(f"unknown {kind} '{name}'. Choose one of: {', '.join(sorted(choices))}.")


def run_command_line(app: Callable[..., Any]) -> NoReturn:
    """Run a typer application: exit code 1 and one line on stderr for a user's mistake, 130 for Ctrl-C.

    Usage errors keep typer's exit code 2. Anything unexpected keeps its traceback: it is our mistake.
    """
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on where it stopped", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            print(f"error: no space left on the disk while writing {error.filename or 'a file'}; free some and run again", file=sys.stderr)
            sys.exit(1)
        raise
    sys.exit(0)
