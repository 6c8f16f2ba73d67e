"""The report in six figures: what a reader asks first, worded once for the page, the summary and the console."""

from __future__ import annotations

from collections.abc import Sequence

from validation.behaviour import RuntimeBehaviour
from validation.ladder import StageResult
from validation.record import Record
from validation.verdict import Verdict

FLOAT_BYTES = 4  # a parameter


class Tile(Record):
    """One figure: ``label`` says what is asked, ``value`` answers, ``note`` says of what and where. Plain text."""

    label: str
    value: str
    note: str


def verdict_tile(verdict: Verdict) -> Tile:
    """Does it pass, and what could not be told."""
    return Tile(label="gates", value=verdict.words, note=f"undecided: {', '.join(verdict.undecided)}" if verdict.undecided else "")


def loss_tile(result: StageResult | None) -> Tile:
    """Is it good: the mean loss of SI-SDR against float. ``result``: of the subject on the test set, None where it was not run."""
    if result is None:
        return Tile(label="loss", value="not measured", note="")
    found = result.summary
    low, high = (_without_zero_sign(-end) for end in (found.delta_interval.high, found.delta_interval.low))
    return Tile(
        label="loss",
        value=f"{_without_zero_sign(-found.delta):.2f} dB of SI-SDR (95 %: {low:.2f} … {high:.2f})",
        note=f"against float, {found.n} mixtures in {result.stage}; float improves them by {found.float_si_sdr_improvement:.1f} dB",
    )


def size_tile(file_bytes: int, parameters: int) -> Tile:
    """Does it fit into flash: bytes of the file, and of the float network's parameters."""
    ratio = FLOAT_BYTES * parameters / file_bytes
    beside = f"{ratio:.1f} times smaller than float" if ratio >= 1 else "larger than float"
    return Tile(label="size", value=f"{_kilobytes(file_bytes)}, {beside}", note=f"{parameters:,} parameters")


def memory_tile(behaviour: Sequence[RuntimeBehaviour]) -> Tile:
    """Does it fit into RAM: TFLM's arena."""
    arena = next((found.arena_bytes for found in behaviour if found.arena_bytes is not None), None)
    if arena is None:
        return Tile(label="memory", value="not measured", note="not run in TFLM")
    return Tile(label="memory", value=f"{_kilobytes(arena)} of arena", note="TFLM on this 64-bit computer, an upper bound of a device's")


def speed_tile(ladder: Sequence[StageResult], test_set: str) -> Tile:
    """Is it fast: seconds of work for a second of audio in the fastest runtime, and of the float network.

    Of a TFLite file in the fastest that runs it: ONNX Runtime runs the ONNX file beside it.
    """
    timed = {r.stage: r.seconds_per_second for r in ladder if r.set == test_set and not r.beside and r.seconds_per_second is not None}
    floating = timed.pop("float", None)
    timed = {stage: pace for stage, pace in timed.items() if stage != "onnxruntime"} or timed
    if not timed:
        return Tile(label="speed", value="not measured", note="")
    fastest = min(timed, key=lambda stage: timed[stage])
    beside = "" if floating is None else f"; float in onnxruntime {_digits(floating)} s"
    return Tile(
        label="speed",
        value=f"{_digits(timed[fastest])} s for a second of audio",
        note=f"{fastest} on this computer, all its processors, while judging{beside}; make bench measures it alone",
    )


def latency_tile(segment_samples: int, sample_rate: int, stream_samples: int | None = None) -> Tile:
    """Is it prompt: a segment has to be there before its first sample can be put out.

    Args:
        stream_samples: the latency of the streaming file beside it, where there is one, which then is the figure.
    """
    segment = f"{segment_samples / sample_rate:.2f} s"
    if stream_samples is None:
        return Tile(label="latency", value=segment, note="one segment, besides the time of its run")
    value = f"{1000 * stream_samples / sample_rate:.0f} ms"
    return Tile(
        label="latency", value=value, note=f"of the streaming file, besides the time of its runs; of the whole one a segment, {segment}"
    )


def _kilobytes(count: int) -> str:
    return f"{count / 1000:,.0f} kB" if count < 10_000_000 else f"{count / 1e6:,.1f} MB"


def _digits(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"


def _without_zero_sign(value: float) -> float:
    """-0.00 looks like a mistake."""
    return 0.0 if round(value, 2) == 0 else value
