"""Which tensors share memory, and from when to when each memory is needed.

Time is counted in steps as the program lists them, the condition and the body of a loop once. What a loop reads from outside, and what it
carries from turn to turn, is needed throughout the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.arena import Memory
from pipeline.package.c_int8.flatbuffer_reader import Tensor
from pipeline.package.c_int8.program import Loop, Program, Step, Variable


@dataclass
class Lifetimes:
    """The memories of a program: of each tensor, and for the scratch of each step. ``carried`` are the variables whose next value must be
    copied at the end of a turn, the others being computed where they are needed."""

    of_tensor: dict[Tensor, Memory]
    of_scratch: dict[Step, Memory]
    carried: frozenset[Variable]

    @property
    def memories(self) -> list[Memory]:
        """All of them, each once."""
        return list(dict.fromkeys([*self.of_tensor.values(), *self.of_scratch.values()]))


@dataclass
class _Region:
    start: int
    body: int
    end: int
    loop: Loop


class _Timeline:
    """Walks over a program and notes when each memory is read and written."""

    def __init__(self, program: Program) -> None:
        self.memory: dict[Tensor, Memory] = {}
        self.scratch: dict[Step, Memory] = {}
        self.regions: list[_Region] = []
        self.times: dict[Step, int] = {}
        for one, other in program.shared:
            self.join(one, other)
        self._now = 0
        for tensor in (*program.inputs, *program.kept):
            self._touch(tensor)
        self._walk(program.steps)
        self._now += 1
        for tensor in (*program.outputs, *program.kept):
            self._touch(tensor, read=True)
        for region in self.regions:  # inner loops come before those around them
            for memory in set(self.memory.values()):
                inside = region.start <= memory.last and memory.first <= region.end
                if inside and not (region.start <= memory.first and memory.last <= region.end):
                    memory.first, memory.last = min(memory.first, region.start), max(memory.last, region.end)

    def of(self, tensor: Tensor) -> Memory:
        """The memory of a tensor, made where there is none yet."""
        return self.memory.setdefault(tensor, Memory(tensor.nbytes, 2**60, -1))

    def join(self, one: Tensor, other: Tensor) -> None:
        """Make the memories of two tensors one."""
        kept, gone = self.of(one), self.of(other)
        if kept is gone:
            return
        kept.nbytes = max(kept.nbytes, gone.nbytes)
        kept.first, kept.last = min(kept.first, gone.first), max(kept.last, gone.last)
        kept.reads = sorted([*kept.reads, *gone.reads])
        for tensor in [tensor for tensor, memory in self.memory.items() if memory is gone]:
            self.memory[tensor] = kept

    def _touch(self, tensor: Tensor, read: bool = False) -> None:
        memory = self.of(tensor)
        memory.first, memory.last = min(memory.first, self._now), max(memory.last, self._now)
        if read:
            memory.reads.append(self._now)

    def _walk(self, steps: tuple[Step | Loop, ...]) -> None:
        for step in steps:
            self._now += 1
            if isinstance(step, Loop):
                self._walk_loop(step)
                continue
            self.times[step] = self._now
            for tensor in step.reads:
                self._touch(tensor, read=True)
            self._touch(step.result)
            if step.scratch:
                self.scratch[step] = Memory(step.scratch, self._now, self._now)

    def _walk_loop(self, loop: Loop) -> None:
        start = self._now
        self._walk(loop.condition)
        self._now += 1
        self._touch(loop.more, read=True)
        body = self._now
        self._walk(loop.body)
        self._now += 1
        for variable in loop.variables:
            self._touch(variable.following, read=True)
            self._touch(variable.holds)
        self.regions.append(_Region(start, body, self._now, loop))


def find_lifetimes(program: Program) -> Lifetimes:
    """The memories of a program, as few and as short as may be: results take the memory of operands that nothing reads again."""
    timeline = _Timeline(program)
    for step, now in timeline.times.items():
        result = timeline.of(step.result)
        for operand in step.in_place:
            memory = timeline.of(operand)
            if memory is not result and memory.last == now == result.first and memory.nbytes == result.nbytes:
                timeline.join(operand, step.result)
                break
    carried = set()
    for region in timeline.regions:
        for variable in region.loop.variables:
            if _may_be_computed_in_place(timeline, region, variable):
                timeline.join(variable.holds, variable.following)
            else:
                carried.add(variable)
    return Lifetimes(timeline.memory, timeline.scratch, frozenset(carried))


def _may_be_computed_in_place(timeline: _Timeline, region: _Region, variable: Variable) -> bool:
    """Whether a turn is done with what a variable holds when it begins to compute the next value, which nothing else needs."""
    held, following = timeline.of(variable.holds), timeline.of(variable.following)
    if not (region.body <= following.first and following.last <= region.end and held.nbytes == following.nbytes):
        return False
    last_read = max((time for time in held.reads if region.body <= time <= region.end), default=region.body)
    if last_read < following.first:
        return True
    makers = [step for step, time in timeline.times.items() if time == following.first]
    return last_read == following.first and any(timeline.of(operand) is held for step in makers for operand in step.in_place)
