"""MatMul of int16 sequences with a constant int8 matrix, and the constant Add behind it -> CONV_2D.

Not FULLY_CONNECTED: there TFLM and LiteRT's reference differ by 1 LSB.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import CONV_2D
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering, Operand
from pipeline.convert.ops.convolution import BIAS_SCALE_TOLERANCE, PLAIN_WINDOW, accumulator_grid

INT16_VERSION = 4


@lowers("MatMul", emits=(CONV_2D,), in_graph=False, in_loop=True)
def lower_dense(lowering: Lowering, node: NodeProto) -> None:
    """Lower MatMul(x [1, N, I], W [I, O]) + b [O] in a loop body: x int16, W int8 with scales along O, b int32 at s_x * s_w."""
    source, weight = lowering.dequantized(node, 0), lowering.dequantized(node, 1)
    lowering.require(node, weight.name in lowering.graph.constants, f"'{weight.name}' is computed at run time", "make it an initializer")
    codes = lowering.graph.constants[weight.name]
    plain = codes.ndim == 2 and codes.dtype == np.int8 and not any(weight.grid.zero_point)
    lowering.require(node, plain, f"'{weight.name}' is no symmetric int8 matrix", "int8 [I, O] with zero point 0")
    along = weight.grid.per_tensor or weight.grid.axis == 1
    lowering.require(node, along, f"its weight has scales along axis {weight.grid.axis}", "scales along axis 1")
    grid = weight.grid.expanded(codes.shape[1])
    bias, last = _bias(lowering, node, source.grid.scales() * grid.scales())
    result = lowering.quantized(last)
    kernel = lowering.constant(weight.name, codes.T[:, None, None, :], grid)
    addend = lowering.constant(f"{weight.name}/bias", bias, accumulator_grid(len(bias)))
    inputs = [lowering.tensor(source.name), kernel, addend]
    lowering.emit(node, CONV_2D, inputs, [lowering.tensor(result.name)], **PLAIN_WINDOW)


def _bias(lowering: Lowering, node: NodeProto, step: np.ndarray) -> tuple[np.ndarray, NodeProto]:
    """The int64 bias [O], zeros where there is none, and the node whose output is quantized."""
    readers = lowering.graph.consumers(node.output[0])
    if len(readers) != 1 or readers[0].op_type != "Add":
        return np.zeros(len(step), np.int64), node
    add = readers[0]
    bias: Operand = lowering.dequantized(add, 1 - list(add.input).index(node.output[0]))
    constant = lowering.graph.constants.get(bias.name)
    fits = constant is not None and constant.dtype == np.int32 and constant.shape == step.shape and not any(bias.grid.zero_point)
    if constant is None or not fits:
        lowering.refuse(add, f"'{bias.name}' is no constant int32 bias of {len(step)} values", "quantize the product before other sums")
    equal = np.allclose(bias.grid.expanded(len(step)).scales(), step, rtol=BIAS_SCALE_TOLERANCE, atol=0)
    lowering.require(add, equal, f"the bias '{bias.name}' is not at scale s_x * s_w", "export the bias at that product")
    lowering.absorbed.add(add.output[0])
    return constant.astype(np.int64), add
