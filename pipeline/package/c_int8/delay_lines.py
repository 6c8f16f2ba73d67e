"""What a streaming file remembers: delay lines in the arena, read before their inputs are needed and written when all is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from export_specs.file_metadata import StreamState
from export_specs.foundation.errors import UserError
from pipeline.package.c_int8.flatbuffer_reader import Graph, Tensor
from pipeline.package.c_int8.program import Parameters, Step

_HEADER = 4  # bytes of struct fq_delay_line before its ring


@dataclass(frozen=True, eq=False)
class DelayLine:
    """The last ``length`` bytes of ``output``, at first ``initial`` in every element; ``ago`` tells for each input how many bytes ago it
    began. ``holds`` is the memory."""

    output: Tensor
    holds: Tensor
    length: int
    initial: int
    ago: dict[Tensor, int] = field(default_factory=dict)

    def recall(self, tensor: Tensor) -> Step:
        """The step that makes one of the inputs."""
        return Step("fq_recall", self._parameters(tensor.nbytes, self.ago[tensor]), (self.holds,), tensor)

    def remember(self) -> Step:
        """The step after which the output is not needed."""
        return Step("fq_remember", self._parameters(self.output.nbytes, 0), (self.output,), self.holds)

    def _parameters(self, nbytes: int, ago: int) -> Parameters:
        return Parameters.of("fq_memory", length=self.length, bytes=nbytes, ago=ago)


def delay_lines(graph: Graph, table: Iterable[StreamState]) -> list[DelayLine]:
    """The delay lines of a table of states. A window that comes back as it went out is one as long as itself.

    Raises:
        UserError: the table is not of this file.
    """
    inputs, outputs = ({tensor.name: tensor for tensor in side} for side in (graph.inputs, graph.outputs))
    found: dict[str, DelayLine] = {}
    states = list(table)
    for state in states:
        tensor, output = inputs.get(state.input), outputs.get(state.output)
        if tensor is None or output is None or not tensor.size == output.size == state.channels * state.frames:
            raise UserError(f"the state '{state.input}' of the file's metadata is none of its tensors: make the file again")
        frame = state.channels * tensor.dtype.itemsize
        if state.output not in found:
            length = frame * max(_frames(other) for other in states if other.output == state.output)
            found[state.output] = DelayLine(output, _memory(output, length), length, state.initial)
        found[state.output].ago[tensor] = frame * _frames(state)
    return list(found.values())


def _frames(state: StreamState) -> int:
    """How many frames ago the input began."""
    return state.delay if state.kind == "line" else state.frames


def _memory(output: Tensor, length: int) -> Tensor:
    words = 1 + math.ceil(length / _HEADER)
    return Tensor(f"{output.name}/past", (words,), np.dtype(np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64))


class Remembering:
    """Puts the steps of delay lines between those of operators: each input as late, each output as early as may be."""

    def __init__(self, lines: Sequence[DelayLine]) -> None:
        self._unread = {tensor: line for line in lines for tensor in line.ago}
        self._unwritten = list(lines)
        self._made: set[Tensor] = set()

    def before(self, reads: Iterable[Tensor | None]) -> list[Step]:
        """What is needed of the past."""
        wanted = dict.fromkeys(tensor for tensor in reads if tensor in self._unread and tensor is not None)
        return [self._unread.pop(tensor).recall(tensor) for tensor in wanted]

    def after(self, made: Iterable[Tensor]) -> list[Step]:
        """What is to be kept now."""
        self._made.update(made)
        due = [line for line in self._unwritten if line.output in self._made and not self._unread.keys() & line.ago.keys()]
        self._unwritten = [line for line in self._unwritten if line not in due]
        return [line.remember() for line in due]
