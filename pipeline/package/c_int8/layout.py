"""A program with addresses: its steps in one list, loops unrolled into it by index, every tensor at its place."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.arena import lifetime_bound, place
from pipeline.package.c_int8.axes import copy
from pipeline.package.c_int8.flatbuffer_reader import Tensor
from pipeline.package.c_int8.lifetimes import Lifetimes, find_lifetimes
from pipeline.package.c_int8.program import Constant, Loop, Operand, Parameters, Program, Step


@dataclass(frozen=True)
class PlacedStep:
    """``fq_step``: a kernel or None for a loop, its parameters, the places of a, b, c, y and the scratch; ``name`` is of the result.

    A place is an offset in the arena, or a constant, or None.
    """

    kernel: str | None
    parameters: Parameters
    places: tuple[int | Constant | None, ...]
    name: str


@dataclass(frozen=True)
class Checkpoint:
    """A tensor of the file's main graph that is complete after step ``step`` of the main graph, at ``offset`` of the arena."""

    tensor: Tensor
    step: int
    offset: int


@dataclass(frozen=True)
class Layout:
    """What the C program is written from. ``bound``: bytes that are alive at one time, of which ``arena_bytes`` cannot be fewer."""

    steps: tuple[PlacedStep, ...]
    inputs: tuple[tuple[Tensor, int], ...]
    outputs: tuple[tuple[Tensor, int], ...]
    kept: tuple[tuple[Tensor, int], ...]
    checkpoints: tuple[Checkpoint, ...]
    arena_bytes: int
    bound: int


def lay_out(program: Program) -> Layout:
    """Give every tensor of a program its place."""
    lifetimes = find_lifetimes(program)
    memories = lifetimes.memories
    arena_bytes = place(memories)
    writer = _Writer(lifetimes)
    complete: dict[Tensor, int] = {}
    for step in program.steps:
        index = len(writer.steps)
        writer.write(step)
        complete.update(dict.fromkeys(step.results if isinstance(step, Loop) else (step.result,), index))
    views = {view: source for source, view in program.shared}

    def completed(tensor: Tensor) -> int | None:
        return complete[tensor] if tensor in complete else completed(views[tensor]) if tensor in views else None

    offsets = {tensor: lifetimes.of_tensor[tensor].offset for tensor in (*program.inputs, *program.outputs, *program.kept, *program.named)}
    checkpoints = [
        Checkpoint(tensor, step, offsets[tensor]) for tensor in program.named for step in [completed(tensor)] if step is not None
    ]
    inputs, outputs, kept = (
        tuple((tensor, offsets[tensor]) for tensor in side) for side in (program.inputs, program.outputs, program.kept)
    )
    return Layout(
        tuple(writer.steps),
        inputs,
        outputs,
        kept,
        tuple(sorted(checkpoints, key=lambda item: item.step)),
        arena_bytes,
        lifetime_bound(memories),
    )


class _Writer:
    def __init__(self, lifetimes: Lifetimes) -> None:
        self.steps: list[PlacedStep] = []
        self._lifetimes = lifetimes

    def write(self, step: Step | Loop) -> None:
        if isinstance(step, Loop):
            self._write_loop(step)
            return
        operands = [self._place(operand) for operand in step.operands]
        operands += [None] * (3 - len(operands))
        scratch = self._lifetimes.of_scratch.get(step)
        places = (*operands, self._place(step.result), None if scratch is None else scratch.offset)
        self.steps.append(PlacedStep(step.kernel, step.parameters, places, step.result.name))

    def _write_loop(self, loop: Loop) -> None:
        index = len(self.steps)
        header = Parameters.of("fq_loop")
        self.steps.append(PlacedStep(None, header, (None,) * 5, ""))
        for step in loop.condition:
            self.write(step)
        body = len(self.steps)
        for step in loop.body:
            self.write(step)
        for variable in loop.variables:
            if variable in self._lifetimes.carried:
                source, target = variable.following, variable.holds
                parameters = copy((target.size,), (1,), (1,), 0, 0, target.dtype.itemsize)
                self.write(Step("fq_copy", parameters, (source,), target))
        header = Parameters.of("fq_loop", body=body, end=len(self.steps), more=self._lifetimes.of_tensor[loop.more].offset)
        self.steps[index] = PlacedStep(None, header, (None,) * 5, "loop")

    def _place(self, operand: Operand) -> int | Constant | None:
        return self._lifetimes.of_tensor[operand].offset if isinstance(operand, Tensor) else operand
