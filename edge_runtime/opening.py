"""A model file of either kind, and what separates with it."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.model_file import read_model
from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.segments import SegmentSeparator
from edge_runtime.separator import Separator
from edge_runtime.step_runtime import StepRuntime, open_steps, streams
from edge_runtime.stream import StreamSeparator

Opened = FileRuntime | StepRuntime


def open_for(path: Path, name: str | None, threads: int, sample_rate: int | None, stream: bool) -> Opened:
    """A model file in a runtime: to be run step by step where it can be and ``stream`` is asked for, else by segments.

    Raises:
        UserError: as :func:`edge_runtime.runtime.open_runtime` and :func:`edge_runtime.step_runtime.open_steps`.
    """
    if stream and streams(read_model(path)):
        return open_steps(path, name, threads=threads, sample_rate=sample_rate)
    return open_runtime(path, name, threads=threads, sample_rate=sample_rate)


def separator_of(opened: Opened, overlap: float = 0.25) -> Separator:
    """What separates a stream with this file. ``overlap``: of segments, see :class:`edge_runtime.segments.SegmentSeparator`."""
    return StreamSeparator(opened) if isinstance(opened, StepRuntime) else SegmentSeparator(opened, overlap)
