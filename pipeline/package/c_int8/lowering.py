"""From the operators of a TFLite file to calls of kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export_specs.foundation.errors import UserError
from pipeline.package.c_int8.delay_lines import DelayLine, Remembering
from pipeline.package.c_int8.fixed_point import round_half_away
from pipeline.package.c_int8.flatbuffer_reader import Array, Graph, Model, Operator, Tensor
from pipeline.package.c_int8.program import Constant, Loop, Operand, Parameters, Program, Step

Lower = Callable[["Lowering", Operator], None]


class Lowering:
    """Collects the steps of one graph; ``ops`` lowers each operator by its name, ``model`` holds the graphs of loops."""

    def __init__(self, model: Model, ops: Mapping[str, Lower], shared: list[tuple[Tensor, Tensor]] | None = None) -> None:
        self.model = model
        self.ops = ops
        self.steps: list[Step | Loop] = []
        self.shared: list[tuple[Tensor, Tensor]] = [] if shared is None else shared
        self.passed_on: set[Tensor] = set()  # results of loops that are their inputs: LiteRT never fills them where nobody reads them

    def lower(self, graph: Graph, lines: Sequence[DelayLine] = ()) -> None:
        """Append the steps of a graph, and between them those of its delay lines.

        Raises:
            UserError: an operator, or a form of it, that there is no kernel for.
        """
        remembering = Remembering(lines)
        for operator in graph.operators:
            if operator.name not in self.ops:
                self.refuse(operator, "there is no kernel for it", f"operators of {', '.join(sorted(self.ops))}")
            self.steps += remembering.before(operator.inputs)
            try:
                self.ops[operator.name](self, operator)
            except ValueError as error:
                self.refuse(operator, str(error), "fewer axes")
            self.steps += remembering.after(operator.outputs)

    def inner(self) -> Lowering:
        """A lowering of a graph within this one: the condition or the body of a loop."""
        return Lowering(self.model, self.ops, self.shared)

    def emit(
        self,
        kernel: str,
        parameters: Parameters,
        operands: tuple[Tensor | Constant | None, ...],
        result: Tensor,
        scratch: int = 0,
        in_place: tuple[Tensor | Constant | None, ...] = (),
    ) -> None:
        """Append a call; constants among the operands become arrays, and those of ``in_place`` are left out."""
        replaced = tuple(self.operand(item) for item in operands)
        reusable = tuple(item for item in in_place if isinstance(item, Tensor) and item.data is None)
        self.steps.append(Step(kernel, parameters, replaced, result, scratch, reusable))

    def operand(self, item: Tensor | Constant | None) -> Operand:
        """A computed tensor as it is, the value of a constant."""
        return Constant.of(item.data) if isinstance(item, Tensor) and item.data is not None else item

    def require(self, operator: Operator, holds: bool, found: str, wanted: str) -> None:
        """Refuse the operator unless ``holds``."""
        if not holds:
            self.refuse(operator, found, wanted)

    def refuse(self, operator: Operator, found: str, wanted: str) -> NoReturn:
        """Say which operator has no kernel, why, and what has."""
        raise UserError(f"{operator.name} '{operator.outputs[0].name}' has no kernel in C: {found}. The kernels take {wanted}.")

    def value(self, operator: Operator, index: int) -> Array:
        """The constant that an operator must have at an input."""
        tensor = operator.inputs[index]
        if tensor is None or tensor.data is None:
            self.refuse(operator, f"its input {index} is not a constant", f"a constant at input {index}")
        return tensor.data

    def types(self, operator: Operator, *allowed: tuple[str, ...]) -> tuple[str, ...]:
        """The types of the inputs that are not absent and of the output, which must be one of ``allowed``."""
        tensors = (*(item for item in operator.inputs if item is not None), operator.outputs[0])
        found = tuple(tensor.dtype.name for tensor in tensors)
        self.require(operator, found in allowed, f"its types are {', '.join(found)}", " or ".join(", ".join(types) for types in allowed))
        return found


def lower_model(model: Model, ops: Mapping[str, Lower], lines: Sequence[DelayLine] = ()) -> Program:
    """The program of a file's main graph, with the delay lines of one that streams."""
    main = model.graphs[0]
    lowering = Lowering(model, ops)
    lowering.lower(main, lines)
    named = tuple(output for operator in main.operators for output in operator.outputs if output not in lowering.passed_on)
    past, future = {tensor for line in lines for tensor in line.ago}, {line.output for line in lines}
    inputs, outputs = (tuple(item for item in main.inputs if item not in past), tuple(item for item in main.outputs if item not in future))
    return Program(inputs, outputs, tuple(lowering.steps), lowering.shared, named, tuple(line.holds for line in lines))


def tensors(operator: Operator) -> tuple[Tensor, ...]:
    """The inputs of an operator, none of which is absent."""
    return tuple(item for item in operator.inputs if item is not None)


def grid(tensor: Tensor) -> tuple[np.float32, int]:
    """Scale and zero point of a tensor."""
    return tensor.scale, tensor.zero_point


def result_grid(operator: Operator) -> Parameters:
    """``fq_grid`` of an operator's output: its zero point, and the codes that its fused activation leaves.

    Raises:
        ValueError: the activation is not a rectifier.
    """
    output, activation = operator.outputs[0], operator.option("fusedActivationFunction", schema.ActivationFunctionType.NONE)
    bounds: dict[Any, tuple[float | None, float | None]] = {
        schema.ActivationFunctionType.NONE: (None, None),
        schema.ActivationFunctionType.RELU: (0.0, None),
        schema.ActivationFunctionType.RELU6: (0.0, 6.0),
        schema.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    }
    if activation not in bounds:
        raise ValueError(f"its fused activation is number {activation} of the TFLite schema")
    limits = np.iinfo(output.dtype)
    low, high = bounds[activation]
    minimum = limits.min if low is None else max(limits.min, _code(output, low))
    maximum = limits.max if high is None else min(limits.max, _code(output, high))
    return Parameters.of("fq_grid", zero_point=output.zero_point, minimum=int(minimum), maximum=int(maximum))


def _code(tensor: Tensor, real: float) -> int:
    return tensor.zero_point + int(round_half_away(np.float32(real) / tensor.scale))
