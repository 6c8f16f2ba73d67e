"""MatMul of two activations -> BATCH_MATMUL."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import BATCH_MATMUL, TRANSPOSE
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.ops.batch_matmul import MAXIMUM_CHANNELS


@lowers("MatMul", emits=(BATCH_MATMUL, TRANSPOSE))
def lower_matmul(lowering: Lowering, node: NodeProto) -> None:
    """Lower a MatMul on int8, [..., L, D] by [..., D, M], or by the Transpose of [..., M, D], which the kernel reads as it lies."""
    left, result = lowering.dequantized(node, 0), lowering.quantized(node)
    transpose = lowering.graph.producer(node.input[1])
    turned = transpose is not None and transpose.op_type == "Transpose"
    right = lowering.dequantized(transpose, 0) if turned and transpose is not None else lowering.dequantized(node, 1)
    shape, rank = lowering.graph.shape(left.name), len(lowering.graph.shape(right.name))
    if turned and transpose is not None:
        order = list(lowering.graph.attributes(transpose).get("perm", []))
        last_two = order == [*range(rank - 2), rank - 1, rank - 2]
        lowering.require(node, last_two, f"its second operand is transposed by {order}", "transpose the last two axes")
    for operand in (left, right):
        run_time = operand.name not in lowering.graph.constants and lowering.layout(operand.name) is Layout.PLAIN
        lowering.require(node, run_time, f"'{operand.name}' is a constant or of the body", "Conv for weights; rank 4 for activations")
    lowering.require(
        node, lowering.graph.shape(right.name)[:-2] == shape[:-2], "its operands have other leading axes", "equal leading axes"
    )
    lowering.require(node, shape[-1] <= MAXIMUM_CHANNELS, f"sums of {shape[-1]} overflow int32", f"at most {MAXIMUM_CHANNELS}")
    second = lowering.tensor(right.name)
    if not turned and "turned-operands" in lowering.rewrites:
        second, turned = _turned(lowering, node, right), True
    lowering.emit(node, BATCH_MATMUL, [lowering.tensor(left.name), second], [lowering.tensor(result.name)], adjX=False, adjY=turned)


def _turned(lowering: Lowering, node: NodeProto, right: Operand) -> int:
    """[..., D, M] as [..., M, D]; made once. Of what lies the other way TFLite Micro keeps a copy of its own for good."""

    def make() -> int:
        *leading, depth, columns = lowering.shape(right.name)
        name, grid, rank = f"{right.name}/turned", right.grid, len(leading) + 2
        made = lowering.builder.tensor(name, (*leading, columns, depth), right.dtype, grid.scales(), grid.zero_points())
        order = lowering.constant(f"{name}/order", np.array([*range(rank - 2), rank - 1, rank - 2], np.int32))
        lowering.emit(node, TRANSPOSE, [lowering.tensor(right.name), order], [made])
        return made

    return lowering.derived(("turned", right.name), make)
