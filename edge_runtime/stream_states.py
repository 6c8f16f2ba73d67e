"""What a stream remembers between two steps: windows that come out and go in again, and delay lines. The interpreter holds none of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge_runtime.model_file import Array, TensorInfo
from export_specs.file_metadata import StreamState


class DelayLine:
    """The last frames of a tensor along ``axis``. What is read of it lies in one piece.

    The buffer is twice as long as the longest delay. Frames are written one hop after the other, and where its end is reached, what is
    still needed moves to its beginning.
    """

    def __init__(self, shape: Sequence[int], axis: int, longest: int, initial: int, dtype: str) -> None:
        """``shape`` of a hop; ``longest`` delay in frames; ``initial`` code of every frame before the first."""
        self._axis, self._hop, self._longest = axis, shape[axis], longest
        sizes = list(shape)
        sizes[axis] = 2 * longest + self._hop
        self._buffer = np.full(sizes, initial, dtype)
        self._end = longest

    def read(self, delay: int) -> Array:
        """The hop that began ``delay`` frames before the one that is written next; valid until then."""
        return self._frames(self._end - delay, self._hop)

    def write(self, hop: Array) -> None:
        """The next frames."""
        if self._end + self._hop > self._buffer.shape[self._axis]:
            self._frames(0, self._longest)[...] = self._frames(self._end - self._longest, self._longest)
            self._end = self._longest
        self._frames(self._end, self._hop)[...] = hop
        self._end += self._hop

    def _frames(self, first: int, count: int) -> Array:
        view: Array = self._buffer[(slice(None),) * self._axis + (slice(first, first + count),)]
        return view


class StreamStates:
    """The states of one stream, by the table in the file's metadata, at the beginning of a recording."""

    def __init__(self, table: Sequence[StreamState], inputs: Mapping[str, TensorInfo]) -> None:
        """``inputs``: the file's, by name."""
        self._table = table
        self._windows: dict[str, Array] = {}
        self._lines: dict[str, DelayLine] = {}
        for state in table:
            shape = inputs[state.input].shape
            if state.kind == "shift":
                self._windows[state.input] = np.full(shape, state.initial, state.dtype)
            elif state.output not in self._lines:
                longest = longest_delay(table, state.output)
                self._lines[state.output] = DelayLine(shape, time_axis(shape), longest, state.initial, state.dtype)

    def inputs(self) -> dict[str, Array]:
        """What the next step is given, by the names of the graph's inputs; valid until :meth:`keep`."""
        lines = {state.input: self._lines[state.output].read(state.delay) for state in self._table if state.kind == "line"}
        return {**self._windows, **lines}

    def keep(self, outputs: Mapping[str, Array]) -> None:
        """Take what a step gave. All of it must be copies: a runtime may hold inputs and outputs in the same memory."""
        for state in self._table:
            if state.kind == "shift":
                window = self._windows[state.input]
                window[...] = outputs[state.output].reshape(window.shape)
        for name, line in self._lines.items():
            line.write(outputs[name])


def time_axis(shape: Sequence[int]) -> int:
    """Where the frames of a state are: [1, F, 1, C], [1, C, F] or [1, F]."""
    return 2 if len(shape) == 3 else 1


def longest_delay(table: Sequence[StreamState], output: str) -> int:
    """Frames that the delay line of an output must keep."""
    return max(state.delay for state in table if state.output == output)


def state_bytes(table: Sequence[StreamState]) -> int:
    """Bytes that a host keeps for a stream at least: the windows, and of each delay line as many frames as its longest delay."""
    lines = {state.output: state for state in table if state.kind == "line"}
    windows = [(state, state.frames) for state in table if state.kind == "shift"]
    kept = [*windows, *((state, longest_delay(table, name)) for name, state in lines.items())]
    return sum(state.channels * frames * np.dtype(state.dtype).itemsize for state, frames in kept)
