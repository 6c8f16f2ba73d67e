"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Have this process killed when its parent is gone (on Linux; elsewhere it goes on)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run_child(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """``subprocess.run`` of a program that ends with this process, even a killed one: it would go on writing where the next run does.

    Ctrl-C does not reach it (it is in a session of its own) but this process, which then ends it and has the last word.
    """
    return subprocess.run(command, check=False, start_new_session=True, preexec_fn=end_with_parent, **options)
