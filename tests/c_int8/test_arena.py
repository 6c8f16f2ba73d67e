"""Places in the arena: nothing that is alive at one time overlaps, and the arena is hardly larger than what is alive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.arena import ALIGNMENT, Memory, lifetime_bound, place
from pipeline.convert import builtin_operators as operators
from pipeline.convert.flatbuffer import FlatbufferBuilder
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.layout import lay_out
from pipeline.package.c_int8.lifetimes import find_lifetimes
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS

SCALE = np.array([0.1], np.float32)
ZERO = np.array([3])


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 30), st.integers(0, 12)), min_size=1, max_size=40))
def test_memories_alive_together_lie_apart(drawn: list[tuple[int, int, int]]) -> None:
    memories = [Memory(nbytes, first, first + length) for nbytes, first, length in drawn]
    size = place(memories)
    bound = lifetime_bound(memories)
    alive = [sum(-(-m.nbytes // ALIGNMENT) * ALIGNMENT for m in memories if m.first <= time <= m.last) for time in range(50)]
    assert bound == max(alive) <= size
    for index, one in enumerate(memories):
        assert one.offset % ALIGNMENT == 0 and one.offset >= 0 and one.offset + one.nbytes <= size
        for other in memories[index + 1 :]:
            if one.first <= other.last and other.first <= one.last:
                assert one.offset + one.nbytes <= other.offset or other.offset + other.nbytes <= one.offset


def test_a_hole_between_small_memories_is_found() -> None:
    memories = [Memory(1000, 0, 4), Memory(600, 0, 1), Memory(400, 1, 3), Memory(200, 3, 4), Memory(600, 4, 4)]
    assert place(memories) <= 1.02 * lifetime_bound(memories)


class _File:
    """A file of element-wise operators on [1, 8] tensors, named."""

    def __init__(self) -> None:
        self.builder = FlatbufferBuilder()
        self.tensors = {"x": self._new("x")}

    def _new(self, name: str) -> int:
        return self.builder.tensor(name, (1, 8), np.int8, SCALE, ZERO)

    def add(self, name: str, a: str, b: str) -> None:
        self.tensors[name] = self._new(name)
        table = {"potScaleInt16": False}
        self.builder.operator(operators.ADD, [self.tensors[a], self.tensors[b]], [self.tensors[name]], table)

    def reshape(self, name: str, a: str) -> None:
        self.tensors[name] = self.builder.tensor(name, (8, 1), np.int8, SCALE, ZERO)
        shape = self.builder.tensor("shape", (2,), np.int32, data=np.array([8, 1]))
        self.builder.operator(operators.RESHAPE, [self.tensors[a], shape], [self.tensors[name]], {"newShape": np.array([8, 1], np.int32)})

    def memories(self, path: Path, *outputs: str) -> dict[str, int]:
        """The identity of each tensor's memory."""
        path.write_bytes(self.builder.finish({"x": self.tensors["x"]}, {name: self.tensors[name] for name in outputs}, "elementwise", None))
        program = lower_model(read_tflite(path), OPS)
        lifetimes = find_lifetimes(program)
        return {tensor.name: id(memory) for tensor, memory in lifetimes.of_tensor.items()}


def test_a_result_takes_the_memory_of_an_operand_that_nothing_reads_again(tmp_path: Path) -> None:
    file = _File()
    file.add("a", "x", "x")  # the last to read x
    file.add("b", "a", "a")  # a is read again
    file.add("y", "b", "a")
    memory = file.memories(tmp_path / "f.tflite", "y")
    assert memory["a"] == memory["x"]
    assert memory["b"] != memory["a"]
    assert memory["y"] == memory["b"]


def test_a_view_keeps_the_memory_that_it_shows(tmp_path: Path) -> None:
    file = _File()
    file.add("a", "x", "x")
    file.reshape("view", "a")
    file.add("b", "a", "a")  # the last to read a, but not its view
    memory = file.memories(tmp_path / "f.tflite", "b", "view")
    assert memory["view"] == memory["a"] != memory["b"]


def test_an_output_is_kept_to_the_end(tmp_path: Path) -> None:
    file = _File()
    file.add("a", "x", "x")
    file.add("b", "a", "a")
    file.add("c", "b", "b")
    memory = file.memories(tmp_path / "f.tflite", "a", "c")
    assert memory["a"] not in (memory["b"], memory["c"])


def test_every_operator_that_the_targets_allow_has_a_kernel() -> None:
    written = {item.name for item in vars(operators).values() if isinstance(item, operators.BuiltinOperator)}
    assert written - set(OPS) == {"PRELU"}


def test_checkpoints_are_every_tensor_that_the_main_graph_computes(tmp_path: Path) -> None:
    file = _File()
    file.add("a", "x", "x")
    file.reshape("view", "a")
    file.add("b", "a", "x")
    file.memories(tmp_path / "f.tflite", "b", "view")
    layout = lay_out(lower_model(read_tflite(tmp_path / "f.tflite"), OPS))
    assert [(item.tensor.name, item.step) for item in layout.checkpoints] == [("a", 0), ("view", 0), ("b", 1)]
