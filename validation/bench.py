"""``python -m validation.bench``: how fast TFLite files are beside one another, and how much memory TFLM needs for them.

The files take turns, run by run, so that a busy machine slows them all alike; the median of the runs counts.
"""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from edge_runtime.runtime import FileRuntime, open_runtime
from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError, run_command_line
from validation.record import Record

THREADS = (1, 2)
WARM_UP = 3
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Timing(Record):
    """One file: milliseconds per second of audio by number of threads (XNNPACK), times as fast as the baseline, bytes, TFLM's arena."""

    name: str
    file_bytes: int
    ms_per_second: dict[int, float]
    speed_over_baseline: dict[int, float]
    arena_bytes: int | None


class Bench(Record):
    """All files of one run; ``baseline`` is the one whose speed is 1."""

    baseline: str
    rounds: int
    machine: str
    timings: list[Timing]


def bench(files: dict[str, Path], rounds: int) -> Bench:
    """Time the files in turns. The first is the baseline.

    Args:
        files: by the name they have in the table; ``rounds``: measured runs of each.

    Raises:
        UserError: a file that XNNPACK cannot run.
    """
    seconds = {threads: _interleaved(files, threads, rounds) for threads in THREADS}
    baseline = next(iter(files))
    timings = [
        Timing(
            name=name,
            file_bytes=path.stat().st_size,
            ms_per_second={threads: round(1000 * seconds[threads][name], 3) for threads in THREADS},
            speed_over_baseline={threads: round(seconds[threads][baseline] / seconds[threads][name], 3) for threads in THREADS},
            arena_bytes=_arena(path),
        )
        for name, path in files.items()
    ]
    return Bench(baseline=baseline, rounds=rounds, machine=f"{platform.machine()}, {platform.system()}", timings=timings)


def _interleaved(files: dict[str, Path], threads: int, rounds: int) -> dict[str, float]:
    """Median seconds of computing for one second of audio, by name."""
    runtimes = {name: open_runtime(path, "litert-xnnpack", threads=threads) for name, path in files.items()}
    samples: dict[str, list[float]] = {name: [] for name in files}
    for turn in range(WARM_UP + rounds):
        for name, runtime in runtimes.items():
            taken = _run_once(runtime, turn)
            if turn >= WARM_UP:
                samples[name].append(taken)
    return {name: statistics.median(values) for name, values in samples.items()}


def _run_once(runtime: FileRuntime, seed: int) -> float:
    pcm = np.random.default_rng(seed).normal(0, 6000, runtime.waveform).clip(-32768, 32767).astype(np.int16)
    start = time.perf_counter()
    runtime.run(pcm)
    return (time.perf_counter() - start) * runtime.sample_rate / runtime.segment_samples


def _arena(path: Path) -> int | None:
    """Bytes that TFLM uses on this 64-bit host; None where it cannot run the file."""
    try:
        return open_runtime(path, "tflm").arena_bytes
    except UserError:
        return None


@app.command()
def run(
    files: Annotated[list[str], typer.Argument(help="NAME=FILE.tflite; the first is the baseline.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("bench.json"),
    rounds: Annotated[int, typer.Option(min=3, help="Measured runs of each file.")] = 30,
) -> None:
    """Time TFLite files beside one another."""
    named = {}
    for entry in files:
        name, separator, path = entry.partition("=")
        if not separator or not Path(path).is_file():
            raise UserError(f"'{entry}' is not NAME=FILE with a file that is there")
        named[name] = Path(path)
    result = bench(named, rounds)
    write_text(out, result.model_dump_json(indent=1))
    table = Table(title=f"XNNPACK, ms per second of audio, median of {rounds} runs taken in turns ({result.machine})")
    for column in (
        "file",
        "bytes",
        *(f"{threads} thread(s)" for threads in THREADS),
        *(f"speed ×{result.baseline}, {t}" for t in THREADS),
        "TFLM arena",
    ):
        table.add_column(column, justify="left" if column == "file" else "right")
    for timing in result.timings:
        times = [f"{timing.ms_per_second[threads]:.2f}" for threads in THREADS]
        ratios = [f"{timing.speed_over_baseline[threads]:.2f}" for threads in THREADS]
        table.add_row(
            timing.name, f"{timing.file_bytes:,}", *times, *ratios, "no" if timing.arena_bytes is None else f"{timing.arena_bytes:,}"
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    run_command_line(app)
