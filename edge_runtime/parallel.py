"""Many recordings through one model, in parallel processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.segments import separate
from edge_runtime.signature import Pcm
from export_specs.foundation.child_process import process_pool

_opened: FileRuntime | None = None


def separate_many(
    model_path: Path,
    runtime: str,
    clips: Sequence[Pcm],
    workers: int | None = None,
    *,
    overlap: float = 0.25,
    sample_rate: int | None = None,
) -> Iterator[Pcm]:
    """Separate int16 [N] clips of any lengths; yields int16 [S, N] for each, in their order.

    Each worker process opens the runtime once, with one thread. With one worker it happens in this process.
    A script that calls this with more needs the ``if __name__ == "__main__"`` guard, because processes are spawned.

    Args:
        workers: number of processes; by default one for each processor that this process may use.
        overlap, sample_rate: as in :func:`edge_runtime.segments.separate` and :func:`edge_runtime.runtime.open_runtime`.

    Raises:
        UserError: the model cannot be opened (at once), or a worker died (while iterating).
    """
    opened = open_runtime(model_path, runtime, sample_rate=sample_rate)
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(clips)))
    if workers == 1:
        return (separate(opened, clip, overlap) for clip in clips)
    return _in_processes((model_path, runtime, opened.sample_rate), clips, workers, overlap)


def _in_processes(model: tuple[Path, str, int], clips: Sequence[Pcm], workers: int, overlap: float) -> Iterator[Pcm]:
    running: deque[Future[Pcm]] = deque()
    with process_pool(workers, f"ran {model[0]} in {model[1]}", _open_in_worker, *model) as pool:
        for clip in clips:
            running.append(pool.submit(_separate_in_worker, clip, overlap))
            if len(running) >= 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _open_in_worker(path: Path, name: str, sample_rate: int) -> None:
    global _opened
    _opened = open_runtime(path, name, sample_rate=sample_rate)


def _separate_in_worker(clip: Pcm, overlap: float) -> Pcm:
    assert _opened is not None
    return separate(_opened, clip, overlap)
