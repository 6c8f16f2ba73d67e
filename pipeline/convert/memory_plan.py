"""A plan of TFLite Micro's arena that lies in the file: metadata entry OfflineMemoryAllocation.

Its own planner puts the largest tensors first, never puts one on another, and leaves gaps. Where the file has offsets it takes them as they
are, without a check. The other runtimes do not look at them. Exactness: bit for bit.

Time is counted in operators, those of a loop's condition and body once. What a loop carries from turn to turn lies in one place: WHILE
copies its inputs to the condition and to its outputs, these to the body and what the body makes back again, and leaves out every copy of a
tensor to itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.arena import Memory, place
from pipeline.convert.builtin_operators import (
    ADD,
    DYNAMIC_UPDATE_SLICE,
    LEAKY_RELU,
    LOGISTIC,
    MAXIMUM,
    MINIMUM,
    MUL,
    QUANTIZE,
    RESHAPE,
    SOFTMAX,
    SUB,
    TANH,
)
from pipeline.convert.reshaped import Wired

ENTRY = "OfflineMemoryAllocation"
VERSION = 1
ELSEWHERE = -1  # offset of a tensor that is no part of the plan
# whose kernels read a value before they write to its place; SOFTMAX has read a row twice before it writes to it
IN_PLACE = (ADD, DYNAMIC_UPDATE_SLICE, LEAKY_RELU, LOGISTIC, MAXIMUM, MINIMUM, MUL, QUANTIZE, RESHAPE, SOFTMAX, SUB, TANH)
Key = tuple[int, int]  # a graph and a tensor of it


class Wiring(NamedTuple):
    """A graph of the file.

    Attributes:
        operators: in order.
        inputs, outputs: its tensors.
        sizes: bytes of each tensor that enters the graph or is computed, by index.
        tensors: how many it has, constants too.
    """

    operators: Sequence[Wired]
    inputs: Sequence[int]
    outputs: Sequence[int]
    sizes: Mapping[int, int]
    tensors: int


def memory_plan(graphs: Sequence[Wiring]) -> bytes:
    """The content of the entry for a file of these graphs, the main one first."""
    memories = _Timeline(graphs).memories
    place(list(dict.fromkeys(memories.values())))
    keys = [(index, tensor) for index, graph in enumerate(graphs) for tensor in range(graph.tensors)]
    offsets = [memories[key].offset if key in memories else ELSEWHERE for key in keys]
    return np.array([VERSION, 0, len(offsets), *offsets], "<i4").tobytes()


class _Timeline:
    """Walks over the graphs, notes from when to when each tensor is needed, and lets those share a memory that can."""

    def __init__(self, graphs: Sequence[Wiring]) -> None:
        self.memories: dict[Key, Memory] = {}
        self._graphs = graphs
        self._now = 0
        self._read: list[tuple[int, Wired, int]] = []  # graph, operator, when it has read its inputs
        self._walk(0)
        for index, operator, time in self._read:
            if operator.subgraphs:
                self._carry(index, operator, time)
            elif operator.builtin in IN_PLACE:
                self._write_over(index, operator.inputs, operator.outputs[0], time)

    def _walk(self, index: int) -> None:
        graph = self._graphs[index]
        self._use(index, graph.inputs)
        for operator in graph.operators:
            self._now += 1
            self._use(index, [*operator.inputs, *operator.outputs])
            read = self._now
            for number, inner in enumerate(operator.subgraphs):
                self._now += 1
                self._walk(inner)
                if number == 0:  # the condition; its inputs are written while the loop's inputs are read
                    read = self._now
                    self._use(index, operator.inputs)
                self._use(index, operator.outputs)
            self._read.append((index, operator, read))
        self._use(index, graph.outputs)

    def _use(self, index: int, tensors: Sequence[int]) -> None:
        sizes = self._graphs[index].sizes
        for tensor in filter(sizes.__contains__, tensors):
            self.memories.setdefault((index, int(tensor)), Memory(sizes[tensor], self._now, self._now)).last = self._now

    def _write_over(self, index: int, inputs: Sequence[int], result: int, time: int) -> None:
        """Let the result lie where an input of its size lies that nothing reads later."""
        made = self.memories[index, result]
        for tensor in inputs:
            memory = self.memories.get((index, tensor))
            if memory is not None and memory.last == time and memory.nbytes == made.nbytes:
                memory.last = made.last
                self._replace(made, memory)
                return

    def _carry(self, index: int, operator: Wired, time: int) -> None:
        """Let a loop's variables lie in its outputs throughout, and in its inputs where nothing else reads these."""
        for number, result in enumerate(operator.outputs):
            for inner in operator.subgraphs:
                graph = self._graphs[inner]
                entering, leaving = graph.inputs[number], graph.outputs[number] if inner == operator.subgraphs[-1] else None
                held = self.memories[inner, entering]
                here = {key for key, memory in self.memories.items() if memory is held}
                others = [tensor for position, tensor in enumerate(graph.outputs) if (position, tensor) != (number, leaving)]
                if here <= {(inner, entering), (inner, leaving)} and entering not in others:
                    self._replace(held, self.memories[index, result])
            self._write_over(index, [operator.inputs[number]], result, time)

    def _replace(self, old: Memory, new: Memory) -> None:
        self.memories |= {key: new for key, memory in self.memories.items() if memory is old}
