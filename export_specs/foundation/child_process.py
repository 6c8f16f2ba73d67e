"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from export_specs.foundation.errors import UserError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_QUIET_TRACKER = "ignore::UserWarning:multiprocessing.resource_tracker"
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


@contextmanager
def process_pool(count: int, task: str, initialize: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Executor]:
    """``count`` processes that call functions of modules, each after ``initialize(*arguments)``, and end with this process.

    A script that uses it needs the ``if __name__ == "__main__"`` guard, because they are spawned.

    Args:
        task: what they do, for the message: "scored mixtures".

    Raises:
        UserError: one of them died.
    """
    if _QUIET_TRACKER not in sys.warnoptions:  # Python hands them to its tracker of semaphores, which tells that it had to remove
        sys.warnoptions.append(_QUIET_TRACKER)  # some, after the last word of an interrupted process
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin, (initialize, arguments))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise UserError(f"a process that {task} died: out of memory, or a fault of a library") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(initialize: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    if initialize is not None:
        initialize(*arguments)
