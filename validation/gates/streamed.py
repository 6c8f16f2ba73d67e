"""structure.streamed: a recording that comes in pieces is separated as its documentation says.

The reference is made here, from the runtime's own outputs of whole segments, without the stitcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.segments import SegmentSeparator
from export_specs.schema import Profile
from validation.evidence import Evidence
from validation.gate import Gate, GateSettings
from validation.gate_result import GateResult, none_of

FAST_RUNTIMES = ("litert-xnnpack", "onnxruntime")
SEGMENTS = 2.4  # length of the recording: two regular joins, and a last segment that overlaps more
PIECE = 1733  # samples pushed at once
OVERLAP = 0.25  # of a segment, the default
Waveform = npt.NDArray[np.int64]


class Streamed(Gate[Mapping[str, int], GateSettings]):
    """The stitcher's stream against whole segments joined by hand, in the fast runtimes of the target."""

    id = "structure.streamed"

    def observe(self, evidence: Evidence) -> Mapping[str, int]:
        """Samples that differ, by runtime."""
        found = {}
        for runtime in (name for name in FAST_RUNTIMES if name in evidence.file.running):
            path = evidence.file.file_for(runtime)
            assert path is not None, "it runs"
            found[runtime] = differing(path, runtime, evidence.file.recording(SEGMENTS), evidence.file.sample_rate)
        return found

    def judge(self, observed: Mapping[str, int], settings: GateSettings, profile: Profile) -> list[GateResult]:
        broken = [f"{runtime}: {count} samples differ" for runtime, count in observed.items() if count]
        return [none_of(self.id, "streamed equals whole segments, joined as documented", broken, len(observed), "runtimes")]

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return (
            "A recording of 2.4 segments is pushed through the separator in odd pieces. Beside it the file is run on the same "
            "segments whole, and its outputs are joined here, by other code: constant removed, level undone, sources in the order of "
            "the largest correlation over the overlap, linear cross-fade. Both must be equal, sample for sample."
        )


def differing(path: Path, runtime: str, recording: npt.NDArray[np.int16], sample_rate: int) -> int:
    """Samples in which the stream of a recording [N] or [A, N] differs from whole segments joined by hand."""
    opened = open_runtime(path, runtime, sample_rate=sample_rate)
    separator = SegmentSeparator(opened, OVERLAP)
    pieces = [separator.push(recording[..., start : start + PIECE]) for start in range(0, recording.shape[-1], PIECE)]
    streamed = np.concatenate([*pieces, separator.finish()], axis=-1)
    return int(np.count_nonzero(streamed != joined(opened, recording)))


def joined(opened: FileRuntime, recording: npt.NDArray[np.int16]) -> Waveform:
    """A recording longer than a segment, from whole segments: [S, N] or [S, A, N]."""
    length, total = opened.segment_samples, recording.shape[-1]
    overlap = int(length * OVERLAP + 0.5)
    starts = [*range(0, total - length, length - overlap), total - length]
    result: Waveform = np.zeros((opened.sources, *recording.shape), np.int64)
    result[..., :length] = _whole_segment(opened, recording[..., :length])
    recent = _mean_square(result[..., :length])  # power of the segments, a quarter less with each softer one
    for before, start in pairwise(starts):
        output = _whole_segment(opened, recording[..., start : start + length])
        recent = max(_mean_square(output), recent - recent // 4)
        end = before + length  # of the predecessor
        if not opened.source_names and 1000 * _mean_square(result[..., start:end]) >= recent:
            output = output[_order(result[..., start:end], output[..., : end - start])]
        fade = slice(end - overlap - start, end - start)
        weight = 2 * np.arange(overlap) + 1  # of twice the overlap
        mixed = result[..., end - overlap : end] * (2 * overlap - weight) + output[..., fade] * weight
        output[..., fade] = np.sign(mixed) * ((2 * np.abs(mixed) + 2 * overlap) // (4 * overlap))  # half away from zero
        result[..., end - overlap : start + length] = output[..., fade.start :]
    return result


def _whole_segment(opened: FileRuntime, segment: npt.NDArray[np.int16]) -> Waveform:
    """The file's output for a segment less its mean, doubled as often as int16 holds all but a few samples; and halved as often."""
    wide = segment.astype(np.int64)
    if segment.shape[-1] >= opened.sample_rate / 4:
        twice = 2 * np.abs(wide.sum(axis=-1, keepdims=True))  # the mean, half away from zero, is the constant
        mean = np.sign(wide.sum(axis=-1, keepdims=True)) * ((twice + segment.shape[-1]) // (2 * segment.shape[-1]))
        wide = np.maximum(-32768, np.minimum(32767, wide - mean))
    if not wide.any():
        return np.zeros((opened.sources, *segment.shape), np.int64)
    doublings = 0
    while doublings < 14 and np.count_nonzero(np.abs(wide * 2 ** (doublings + 1)) > 32767) <= wide.size / 4096:
        doublings += 1
    output = opened.run(np.maximum(-32768, np.minimum(32767, wide * 2**doublings)).astype(np.int16)).astype(np.int64)
    halved: Waveform = np.sign(output) * ((2 * np.abs(output) + 2**doublings) // 2 ** (doublings + 1))
    return halved


def _mean_square(waveform: Waveform) -> int:
    return sum(int(row @ row) for row in waveform.reshape(-1, waveform.shape[-1])) // waveform.size


def _order(before: Waveform, after: Waveform) -> list[int]:
    """Of each source of ``before`` the one of ``after`` that goes on with it, one to one, by the largest sum of products."""
    first, second = (waveform.reshape(len(waveform), -1).astype(np.float64) for waveform in (before, after))
    return [int(column) for column in linear_sum_assignment(first @ second.T, maximize=True)[1]]
