"""How the axes of dense tensors lie in memory, and the fewest loops that walk over them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.package.c_int8.program import Parameters

LOOPS = 5


def steps_of(shape: Sequence[int]) -> list[int]:
    """The distance in elements from one index to the next along each axis of a dense tensor."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    return steps[::-1]


def broadcast_steps(shape: Sequence[int], result: Sequence[int]) -> list[int]:
    """The same along the axes of a result that the tensor is repeated over: 0 along axes of size 1 and those that it lacks."""
    padded = [1] * (len(result) - len(shape)) + list(shape)
    return [0 if size == 1 else step for size, step in zip(padded, steps_of(padded), strict=True)]


def merged(sizes: Sequence[int], *steps: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """The same walk over fewer axes: without those of size 1, and with neighbours joined that every tensor has end to end."""
    axes = [(size, tuple(step)) for size, *step in zip(sizes, *steps, strict=True) if size != 1]
    joined: list[tuple[int, tuple[int, ...]]] = []
    for size, step in axes:
        if joined and all(outer == inner * size for outer, inner in zip(joined[-1][1], step, strict=True)):
            joined[-1] = (joined[-1][0] * size, step)
        else:
            joined.append((size, step))
    return [size for size, _ in joined], [[step[index] for _, step in joined] for index in range(len(steps))]


def leading(values: Sequence[int], fill: int, count: int = LOOPS) -> tuple[int, ...]:
    """``values`` behind as many ``fill`` as make ``count``.

    Raises:
        ValueError: there are more.
    """
    if len(values) > count:
        raise ValueError(f"{len(values)} axes that cannot be joined, where the kernels walk over {count}")
    return (*([fill] * (count - len(values))), *values)


def broadcast(shape: Sequence[int], a: Sequence[int], b: Sequence[int]) -> Parameters:
    """``fq_broadcast`` of operands of the shapes ``a`` and ``b`` for a result of the shape ``shape``."""
    sizes, (a_steps, b_steps) = merged(shape, broadcast_steps(a, shape), broadcast_steps(b, shape))
    return Parameters.of("fq_broadcast", size=leading(sizes, 1), a_step=leading(a_steps, 0), b_step=leading(b_steps, 0))


def copy(sizes: Sequence[int], x_steps: Sequence[int], y_steps: Sequence[int], x_start: int, y_start: int, element: int) -> Parameters:
    """``fq_copy`` of elements of ``element`` bytes; steps and starts in elements. What lies end to end in both is copied as one block."""
    axes, (x, y) = merged(sizes, x_steps, y_steps)
    block = 1
    if axes and x[-1] == y[-1] == 1:
        block = axes.pop()
        x.pop(), y.pop()
    return Parameters.of(
        "fq_copy",
        size=leading(axes, 1),
        x_step=leading([step * element for step in x], 0),
        y_step=leading([step * element for step in y], 0),
        x_start=x_start * element,
        y_start=y_start * element,
        block=block * element,
    )
