"""How the shipped file behaves in each runtime: it loads and runs, silence stays silence, and streamed equals whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.runtime import open_runtime
from edge_runtime.segments import SegmentSeparator, separate
from export_specs.foundation.errors import UserError
from validation.record import Record

_PIECE = 1733


class RuntimeBehaviour(Record):
    """``problem`` says why the file does not run (or gives another shape); None where it does. ``silence_peak`` is the largest output code
    for silence."""

    runtime: str
    problem: str | None
    silence_peak: int | None
    streamed_equals_whole: bool | None
    arena_bytes: int | None


def observe(path: Path, runtime: str, clip: npt.NDArray[np.int16], sample_rate: int, stream: bool) -> RuntimeBehaviour:
    """Run a file in one runtime on a recording [N] or [A, N]: silence always, streaming in pieces of an odd length where ``stream``."""
    try:
        opened = open_runtime(path, runtime, sample_rate=sample_rate)
        silence = np.zeros(opened.waveform, np.int16)
        peak = int(np.abs(separate(opened, silence).astype(np.int32)).max())
        streamed = None
        if stream:
            separator = SegmentSeparator(opened)
            pieces = [separator.push(clip[..., start : start + _PIECE]) for start in range(0, clip.shape[-1], _PIECE)]
            joined = np.concatenate([*pieces, separator.finish()], axis=-1)
            streamed = bool(np.array_equal(joined, separate(opened, clip)))
    except UserError as error:
        return RuntimeBehaviour(runtime=runtime, problem=str(error), silence_peak=None, streamed_equals_whole=None, arena_bytes=None)
    return RuntimeBehaviour(
        runtime=runtime, problem=None, silence_peak=peak, streamed_equals_whole=streamed, arena_bytes=opened.arena_bytes
    )
