"""What native libraries print on the standard error stream, as text instead of noise on the terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Catch everything written to file descriptor 2 meanwhile; the list holds it as its one element when the block has ended.

    It holds for the whole process: not for use while other threads report errors.
    """
    caught: list[str] = []
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as stream:
        os.dup2(stream.fileno(), 2)
        try:
            yield caught
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            stream.seek(0)
            caught.append(stream.read().decode(errors="replace"))
