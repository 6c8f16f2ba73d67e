"""Signs of life of long work, on stderr: a bar on a terminal, in a log a line every few seconds.

What works says so with :func:`at_work` or :func:`tracked`; nobody who works has to know who watches.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")
INTERVAL = 5.0  # seconds between two lines of a log
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())


@dataclass(eq=False)
class _Work:
    what: str
    total: int | None
    done: int = 0
    begun: float = field(default_factory=time.monotonic)


@contextmanager
def at_work(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Tell of the work in the body of the ``with``, as part of the work around it.

    Yields:
        A function that takes how many of the ``total`` pieces are done.
    """
    work, signs = _Work(what, total), _signs()
    signs.begin(work)

    def tell(done: int) -> None:
        work.done = done
        signs.update(work)

    try:
        yield tell
    finally:
        signs.end(work)


def tracked(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items as they are, and a sign of how many of the ``total`` (by default the length) were taken and worked on."""
    count = len(items) if total is None and isinstance(items, Sized) else total
    with at_work(what, count) as tell:
        for number, item in enumerate(items, 1):
            yield item
            tell(number)


def say(line: str) -> None:
    """A line on stderr, above the bars."""
    _signs().say(line)


@contextmanager
def handed_over() -> Iterator[None]:
    """Say nothing meanwhile: another process speaks on the same terminal."""
    _signs().pause(True)
    try:
        yield
    finally:
        _signs().pause(False)


class _Lines:
    """In a log: where the innermost work stands, INTERVAL seconds after the last line, by a thread of its own."""

    def __init__(self) -> None:
        self._works: list[_Work] = []
        self._changed = threading.Condition()
        self._last, self._paused = time.monotonic(), False
        self._thread: threading.Thread | None = None

    def begin(self, work: _Work) -> None:
        with self._changed:
            self._works.append(work)
            if self._thread is None:
                self._last = time.monotonic()
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()

    def update(self, work: _Work) -> None:
        """Seen when the next line is due."""

    def end(self, work: _Work) -> None:
        with self._changed:
            self._works.remove(work)
            self._changed.notify_all()

    def say(self, line: str) -> None:
        with self._changed:
            self._print(line)

    def pause(self, paused: bool) -> None:
        with self._changed:
            self._paused, self._last = paused, time.monotonic()

    def _watch(self) -> None:
        with self._changed:
            while self._works:
                self._changed.wait(max(0.05, self._last + INTERVAL - time.monotonic()))
                if self._works and time.monotonic() >= self._last + INTERVAL:
                    if self._paused:
                        self._last = time.monotonic()
                    else:
                        self._print(f"  {': '.join(work.what for work in self._works)}{_standing(self._works[-1])}")
            self._thread = None

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class _Bars:
    """On a terminal: a bar for each work, gone when it is done."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars: Progress | None = None
        self._tasks: dict[_Work, TaskID] = {}
        self._paused = False

    def begin(self, work: _Work) -> None:
        if self._bars is None:
            self._bars = Progress(*_COLUMNS, console=self._console, transient=True)
            if not self._paused:
                self._bars.start()
        self._tasks[work] = self._bars.add_task(work.what, total=work.total)

    def update(self, work: _Work) -> None:
        if self._bars is not None and work in self._tasks:
            self._bars.update(self._tasks[work], completed=work.done)

    def end(self, work: _Work) -> None:
        task = self._tasks.pop(work)
        if self._bars is not None:
            self._bars.remove_task(task)
            if not self._tasks:
                self._bars.stop()
                self._bars = None

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def pause(self, paused: bool) -> None:
        self._paused = paused
        if self._bars is not None:
            (self._bars.stop if paused else self._bars.start)()


def _standing(work: _Work) -> str:
    """How far it is: ", 12 of 50, 20 s, about 63 s to go"."""
    seconds = time.monotonic() - work.begun
    if work.total is None:
        return f", {seconds:.0f} s"
    left = f", about {seconds / work.done * (work.total - work.done):.0f} s to go" if 0 < work.done < work.total else ""
    return f", {work.done} of {work.total}, {seconds:.0f} s{left}"


_shown: _Lines | _Bars | None = None


def _signs() -> _Lines | _Bars:
    global _shown
    if _shown is None:
        _shown = _Bars() if sys.stderr.isatty() else _Lines()
    return _shown
