"""A streaming file run step by step, by other code than edge_runtime's: of every line all frames are kept, and looked up by the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.model_file import Array, read_model
from edge_runtime.runtime import FileRuntime, open_engine
from export_specs.foundation.errors import UserError

Pcm = npt.NDArray[np.int16]
CONTEXTS = 3  # how often what an output depends on must have passed
_SOFT = 256
_IMPULSE = 1000  # 30 dB below full scale, so that the response is not cut off


class Steps:
    """A streaming file in a runtime; every run begins a stream."""

    def __init__(self, path: Path, runtime: str) -> None:
        """Raises UserError where the file does not stream or the runtime does not run it."""
        file = read_model(path)
        if file.metadata is None or file.metadata.streaming is None:
            raise UserError(f"{path} does not stream")
        self._file, self._engine = file, open_engine(file, runtime)
        self.streaming, self.hop, self.sources = file.metadata.streaming, file.metadata.segment_samples, file.metadata.sources
        self.late = self.streaming.latency_samples - self.hop
        self.window = file.metadata.shortest_samples or 0  # of the encoder
        self.arena_bytes = self._engine.arena_bytes

    @property
    def stride(self) -> int:
        """Samples from frame to frame."""
        return self.hop // self.streaming.hop_frames

    def run(self, pcm: Pcm, initial: Mapping[str, int] | None = None) -> Pcm:
        """What whole hops of int16 samples [n] give: int16 [S, m]; the i-th belongs to sample i - ``late``.

        Args:
            initial: codes of states before the stream, by input, where they are not to be those of the file.
        """
        steps, codes = len(pcm) // self.hop, initial or {}
        now: dict[str, Array] = {}  # inputs of the next step
        ever: dict[str, tuple[Array, int]] = {}  # of each line, all frames, along the first axis; and which axis this was
        longest: dict[str, int] = {}
        shapes = {tensor.name: tensor.shape for tensor in self._file.inputs}
        for state in self.streaming.states:
            code, shape = codes.get(state.input, state.initial), list(shapes[state.input])
            if state.kind == "shift":
                now[state.input] = np.full(shape, code, state.dtype)
                continue
            longest[state.output] = max(state.delay, longest.get(state.output, 0))
            time = shape.index(state.frames, 1) if len(shape) == 4 else len(shape) - 1
            shape[time] = longest[state.output] + steps * state.frames
            ever[state.output] = np.moveaxis(np.full(shape, code, state.dtype), time, 0), time
        result = np.zeros((self.sources, steps * self.hop), np.int16)
        for step in range(steps):
            piece = slice(step * self.hop, (step + 1) * self.hop)
            for state in self.streaming.states:
                if state.kind == "line":
                    frames, time = ever[state.output]
                    first = longest[state.output] + step * state.frames - state.delay
                    now[state.input] = np.moveaxis(frames[first : first + state.frames], 0, time)
            given = [np.ascontiguousarray(now.get(tensor.name, pcm[None, piece])) for tensor in self._file.inputs]
            results = self._engine.invoke(given)
            outputs = {tensor.name: value for tensor, value in zip(self._file.outputs, results, strict=True)}
            for state in self.streaming.states:
                if state.kind == "shift":
                    now[state.input] = outputs.pop(state.output).reshape(now[state.input].shape)
                elif state.output in outputs:
                    frames, time = ever[state.output]
                    first = longest[state.output] + step * state.frames
                    frames[first : first + state.frames] = np.moveaxis(outputs.pop(state.output), time, 0)
            (separated,) = outputs.values()
            result[:, piece] = separated.reshape(self.sources, self.hop)
        return result


@dataclass(frozen=True)
class Compared:
    """A stream against whole segments of the same runtime: samples of all sources compared, those that differ, and powers; and how many
    samples of the stream a result depends on."""

    samples: int
    differing: int
    signal: float
    error: float
    context: int

    @property
    def enough(self) -> bool:
        """Whether what an output depends on has passed often enough."""
        return self.samples >= CONTEXTS * self.context

    @property
    def sqnr_db(self) -> float:
        """Of the stream, with the whole segments as the signal."""
        return float("inf") if not self.error else float(10 * np.log10(max(self.signal, 1e-9) / self.error))


def compare(steps: Steps, whole: FileRuntime, recording: Pcm) -> Compared:
    """The stream of a recording against whole segments of it, sample for sample.

    Segments begin where the one before has nothing more to say; of each but the first, what depends on samples before it is left out, and
    of all of them the end, which the whole graph pads. The recording is made loud, silent and soft.

    Args:
        recording: int16 of any length, which is repeated.
    """
    context, late, length = steps.streaming.context_samples, steps.late, whole.segment_samples
    pcm = loud_and_silent(np.resize(recording, 2 * length), length)
    starts = [0]
    compared = length - late
    while compared < CONTEXTS * context and starts[-1] + length - late - context <= len(pcm) - length and length - late > context:
        starts.append(starts[-1] + (length - late - context) // steps.stride * steps.stride)
        compared += length - late - context
    before = steps.window - steps.stride  # what of the whole graph's first window comes before a stream begins
    pcm[:before] = 0
    streamed = steps.run(pcm[before : starts[-1] + length]).astype(np.int64)[:, late - before :]
    pairs = list(_pairs(whole, pcm, starts, (context, late), streamed))
    differences = [got - want for got, want in pairs]
    return Compared(
        samples=sum(got.shape[1] for got, _ in pairs),
        differing=sum(int(np.count_nonzero(difference)) for difference in differences),
        signal=float(sum(np.square(want).sum() for _, want in pairs)),
        error=float(sum(np.square(difference).sum() for difference in differences)),
        context=context,
    )


def _pairs(
    whole: FileRuntime, pcm: Pcm, starts: list[int], bounds: tuple[int, int], streamed: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    context, late = bounds
    length = whole.segment_samples
    for start in starts:
        first, end = (context if start else 0), length - late
        got = streamed[:, start + first : start + end]
        yield got, whole.run(pcm[start : start + length])[:, first : first + got.shape[1]].astype(np.int64)


def loud_and_silent(recording: Pcm, length: int) -> Pcm:
    """A recording with its peak at full scale, an eighth of each ``length`` samples silent, and another one soft."""
    peak = max(1, int(np.abs(recording.astype(np.int32)).max()))
    pcm: Pcm = np.rint(recording * (32767 / peak)).astype(np.int16)
    for start in range(0, len(pcm), length):
        pcm[start + length // 4 : start + length * 3 // 8] = 0
        pcm[start + length // 2 : start + length * 5 // 8] //= _SOFT
    return pcm


def impulse_latency(steps: Steps) -> int:
    """Samples from the beginning of a frame until the response to an impulse in its middle is out, the longest of all frames of a hop.

    The response is where the sum of the sources is largest: the network may move that by a few samples, so that an impulse at the edge of a
    frame could be answered in the next. Each impulse comes when the one before it is forgotten.
    """
    gap = (steps.streaming.context_samples // steps.hop + 2) * steps.hop
    frames = [number * gap + frame * steps.stride for number, frame in enumerate(range(steps.streaming.hop_frames), 1)]
    pcm = np.zeros(frames[-1] + gap, np.int16)
    pcm[[frame + steps.stride // 2 for frame in frames]] = _IMPULSE
    response = np.abs(steps.run(pcm).astype(np.int64).sum(axis=0))
    peaks = [frame + int(np.argmax(response[frame : frame + gap // 2])) for frame in frames]
    return max((peak // steps.hop + 1) * steps.hop - frame for frame, peak in zip(frames, peaks, strict=True))
