"""Scan along an axis of chunks -> WHILE, whose condition and body are subgraphs of plain integer ops.

Loop variables: the step t, as an index vector [4]; the chunks that are read; the states; the chunks that are written. The runtimes copy all
of them every step, so nothing else is carried, and what does not depend on the step before (the products with the inputs) stays in the
body: hoisted it would be an int16 variable of four times as many channels as the states. A reversed direction reads and writes at
T - 1 - t instead of t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import ADD, BROADCAST_TO, DYNAMIC_UPDATE_SLICE, LESS, SLICE, SUB, WHILE
from pipeline.convert.declaration import lowers
from pipeline.convert.flatbuffer import FlatbufferBuilder
from pipeline.convert.graph import OnnxGraph
from pipeline.convert.layout import STEP_AXIS, arrange_shape
from pipeline.convert.lowering import Lowering
from pipeline.convert.quantization import Quantization

LAYOUTS = {axis: layout for layout, axis in STEP_AXIS.items()}


@dataclass(frozen=True)
class _Loop:
    """A Scan, checked: names of the body's inputs and outputs, directions (1: from the end), and what is carried from step to step."""

    node: NodeProto
    body: OnnxGraph
    axis: int
    steps: int
    states: int
    sources: list[str]  # each read tensor once
    input_directions: list[int]
    output_directions: list[int]


@dataclass(frozen=True)
class _Variable:
    """A loop variable: its name, shape, type and grid, in every subgraph alike."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    grid: Quantization | None

    def add(self, builder: FlatbufferBuilder, suffix: str) -> int:
        """A tensor for it in a subgraph."""
        scale, zero = (self.grid.scales(), self.grid.zero_points()) if self.grid else (None, None)
        return builder.tensor(self.name + suffix, self.shape, self.dtype, scale, zero)


@lowers("Scan", emits=(WHILE, SLICE, SUB, ADD, LESS, DYNAMIC_UPDATE_SLICE, BROADCAST_TO))
def lower_scan(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Scan over int8 chunks [1, S, K, C] along S or K, whose states begin at 0 and whose body has ops that may stand in a loop."""
    loop = _read(lowering, node)
    variables = _variables(lowering, loop)
    condition = _condition(lowering, loop, variables)
    body = _body(lowering, loop, variables)
    written = node.output[loop.states :]
    begin = [lowering.constant(variables[0].name, np.zeros(4, np.int32)), *(lowering.tensor(name) for name in loop.sources)]
    begin += [_zeros(lowering, node, variable) for variable in variables[len(begin) :]]
    end = [variable.add(lowering.builder, "/end") for variable in variables[: -len(written)]]
    end += [lowering.tensor(name) for name in written]
    lowering.emit(node, WHILE, begin, end, condSubgraphIndex=condition, bodySubgraphIndex=body)


def _read(lowering: Lowering, node: NodeProto) -> _Loop:
    attributes, graph = lowering.graph.attributes(node), lowering.graph
    count = int(attributes["num_scan_inputs"])
    states = len(node.input) - count
    outputs = len(node.output) - states
    sources = list(dict.fromkeys(node.input[states:]))
    axes = {*attributes.get("scan_input_axes", [0] * count), *attributes.get("scan_output_axes", [0] * outputs)}
    chunks = {len(graph.shape(name)) for name in (*sources, *node.output[states:])} == {4}
    lowering.require(node, chunks and axes in ({1}, {2}), f"it runs along axes {sorted(axes)}", "one axis, 1 or 2, of chunks [1, S, K, C]")
    for name in node.input[:states]:
        zero = name in graph.constants and not graph.constants[name].any()
        lowering.require(node, zero, f"the state '{name}' does not begin at 0", "make its first value an initializer of zeros")
    for name in node.output[:states]:
        unread = not graph.consumers(name) and name not in graph.outputs
        lowering.require(node, unread, f"the last state '{name}' is read", "read the outputs of the steps instead")
    body = graph.body(node)
    for before, after in zip(body.inputs[:states], body.outputs[:states], strict=True):
        on_one_grid = body.grid(before) == body.grid(after)
        lowering.require(node, on_one_grid, f"'{before}' and '{after}' do not share scale and zero point", "one grid for each state")
    axis = int(axes.pop())
    return _Loop(
        node,
        body,
        axis,
        graph.shape(sources[0])[axis],
        states,
        sources,
        [int(direction) for direction in attributes.get("scan_input_directions", [0] * count)],
        [int(direction) for direction in attributes.get("scan_output_directions", [0] * outputs)],
    )


def _variables(lowering: Lowering, loop: _Loop) -> list[_Variable]:
    graph, body, layout = lowering.graph, loop.body, LAYOUTS[loop.axis]
    written = loop.node.output[loop.states :]
    sources, results = (
        [_Variable(name, graph.shape(name), graph.dtype(name), graph.grid(name)) for name in names] for names in (loop.sources, written)
    )
    states = [
        _Variable(name, arrange_shape(body.shape(name), layout), body.dtype(name), body.grid(name)) for name in body.inputs[: loop.states]
    ]
    return [_Variable(f"{written[0]}/t", (4,), np.dtype(np.int32), None), *sources, *states, *results]


def _zeros(lowering: Lowering, node: NodeProto, variable: _Variable) -> int:
    """A tensor of zeros made at run time: stored it would take as many bytes as the chunks."""
    result = variable.add(lowering.builder, "/begin")
    zero = lowering.constant(f"{variable.name}/zero", np.zeros((1, 1, 1, 1), variable.dtype), variable.grid)
    shape = lowering.constant(f"{variable.name}/shape", np.array(variable.shape, np.int32))
    lowering.emit(node, BROADCAST_TO, [zero, shape], [result])
    return result


def _condition(lowering: Lowering, loop: _Loop, variables: list[_Variable]) -> int:
    """The subgraph t[axis] < T."""
    index, builder = lowering.builder.subgraph("condition")
    inner = lowering.body(loop.body, builder, LAYOUTS[loop.axis])
    inputs = [variable.add(builder, "") for variable in variables]
    step, more = builder.tensor("step", (1,), np.int32), builder.tensor("more", (1,), np.bool_)
    begin, size, limit = (inner.constant("limit", np.array([value], np.int32)) for value in (loop.axis, 1, loop.steps))
    inner.emit(loop.node, SLICE, [inputs[0], begin, size], [step])
    inner.emit(loop.node, LESS, [step, limit], [more])
    builder.close(inputs, [more])
    return index


def _body(lowering: Lowering, loop: _Loop, variables: list[_Variable]) -> int:
    """The subgraph of one step."""
    node, body = loop.node, loop.body
    index, builder = lowering.builder.subgraph("step")
    inner = lowering.body(body, builder, LAYOUTS[loop.axis])
    step = variables[0].add(builder, "")
    sources = {variable.name: variable.add(builder, "") for variable in variables[1 : 1 + len(loop.sources)]}
    states = [inner.tensor(name) for name in body.inputs[: loop.states]]
    written = [variable.add(builder, "/before") for variable in variables[1 + len(sources) + len(states) :]]
    unit = np.eye(4, dtype=np.int32)[loop.axis]
    places = [step]
    if 1 in (*loop.input_directions, *loop.output_directions):
        places.append(builder.tensor("u", (4,), np.int32))
        inner.emit(node, SUB, [inner.constant("last", unit * (loop.steps - 1)), step], [places[1]])
    for outer, name, direction in zip(node.input[loop.states :], body.inputs[loop.states :], loop.input_directions, strict=True):
        size = inner.constant("size", np.array(inner.shape(name), np.int32))
        inner.emit(node, SLICE, [sources[outer], places[direction], size], [inner.tensor(name)])
    inner.lower()
    results = []
    for before, variable, name, direction in zip(
        written, variables[-len(written) :], body.outputs[loop.states :], loop.output_directions, strict=True
    ):
        results.append(variable.add(builder, ""))
        inputs = [before, inner.tensor(name), places[direction]]
        inner.emit(node, DYNAMIC_UPDATE_SLICE, inputs, [results[-1]])
    following = builder.tensor("t", (4,), np.int32)
    inner.emit(node, ADD, [step, inner.constant("unit", unit)], [following])
    states_after = [inner.tensor(name) for name in body.outputs[: loop.states]]
    builder.close([step, *sources.values(), *states, *written], [following, *sources.values(), *states_after, *results])
    return index
