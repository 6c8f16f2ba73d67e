"""Slice -> SLICE, or STRIDED_SLICE where it has steps."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import CONV_2D, SLICE, STRIDED_SLICE
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("Slice", emits=(CONV_2D, SLICE, STRIDED_SLICE), moves_codes=True)
def lower_slice(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Slice of a raw int8 or int16 tensor with constant bounds and positive steps."""
    source, output = node.input[0], node.output[0]
    for name in node.input[1:]:
        lowering.require(node, not name or name in lowering.graph.constants, f"'{name}' is computed at run time", "make it an initializer")
    shape = lowering.graph.shape(source)
    bounds = [lowering.graph.constants[name].reshape(-1).tolist() for name in node.input[1:] if name]
    starts, ends = bounds[0], bounds[1]
    axes = bounds[2] if len(bounds) > 2 else list(range(len(starts)))
    steps = bounds[3] if len(bounds) > 3 else [1] * len(starts)
    lowering.require(node, all(step > 0 for step in steps), f"steps {steps}", "positive steps")
    rank = len(lowering.shape(source))
    begin, step_of, size = [0] * rank, [1] * rank, list(lowering.shape(output))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        first, _, _ = slice(start, end, step).indices(shape[axis])
        begin[lowering.axis(source, axis)] = first
        step_of[lowering.axis(source, axis)] = step
    if source in lowering.put_off:
        lowering.put_off[source](node, slice(begin[-1], begin[-1] + size[-1]), lowering.tensor(output))
        return
    inputs = [lowering.tensor(source), lowering.constant(f"{output}/begin", np.array(begin, np.int32))]
    if all(step == 1 for step in steps):
        inputs.append(lowering.constant(f"{output}/size", np.array(size, np.int32)))
        lowering.emit(node, SLICE, inputs, [lowering.tensor(output)])
        return
    end_of = [first + (count - 1) * step + 1 for first, count, step in zip(begin, size, step_of, strict=True)]
    inputs.append(lowering.constant(f"{output}/end", np.array(end_of, np.int32)))
    inputs.append(lowering.constant(f"{output}/strides", np.array(step_of, np.int32)))
    lowering.emit(node, STRIDED_SLICE, inputs, [lowering.tensor(output)])
