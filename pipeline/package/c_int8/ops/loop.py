"""WHILE: the steps of its condition and its body, and the memory that they carry from turn to turn."""

from __future__ import annotations

from pipeline.package.c_int8.flatbuffer_reader import Operator, Tensor
from pipeline.package.c_int8.lowering import Lowering
from pipeline.package.c_int8.ops.movement import emit_copy
from pipeline.package.c_int8.program import Loop, Variable


def lower_while(lowering: Lowering, operator: Operator) -> None:
    """Each variable is one memory: what the condition and the body read, and what the operator gives at last.

    What a body hands on unchanged is the operator's own input, which is never copied; of any other the first value is copied, because the
    body overwrites it.
    """
    condition, body = (lowering.model.graphs[operator.option(name, 0)] for name in ("condSubgraphIndex", "bodySubgraphIndex"))
    inner, outer = lowering.inner(), lowering.inner()
    inner.lower(condition)
    outer.lower(body)
    variables = []
    for begin, within, tested, following, end in zip(
        operator.inputs, body.inputs, condition.inputs, body.outputs, operator.outputs, strict=True
    ):
        assert begin is not None
        lowering.shared += [(within, tested), (within, end)]
        if following is within and begin.data is None:
            lowering.shared.append((begin, within))
            lowering.passed_on.add(end)
            continue
        emit_copy(lowering, begin, within)
        if following is not within:
            exchanged = following in body.inputs
            lowering.require(operator, not exchanged, "its variables change places, which runtimes do differently", "variables that do not")
            variables.append(Variable(within, _computed(outer, following)))
    lowering.steps.append(Loop(tuple(inner.steps), condition.outputs[0], tuple(outer.steps), tuple(variables), operator.outputs))


def _computed(body: Lowering, following: Tensor) -> Tensor:
    """A variable's next value in memory of its own: a constant is copied."""
    if following.data is None:
        return following
    kept = Tensor(f"{following.name}/kept", following.shape, following.dtype, following.scales, following.zero_points)
    emit_copy(body, following, kept)
    return kept
