"""Mul -> MUL.

The int16 kernels of LiteRT form s1 * s2 / s_out in float32 and those of TFLM in double: they agree when the scales have mantissas of 12
bits and s_out = s1 * s2 * 2^k, which is for the exporter to see to.
"""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import MUL
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.elementwise import lower_elementwise


@lowers("Mul", emits=(MUL,), in_loop=True, elementwise=True)
def lower_mul(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Mul on int8, int16 or plain int32."""
    lower_elementwise(lowering, node, MUL)
