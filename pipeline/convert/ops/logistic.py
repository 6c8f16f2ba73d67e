"""Sigmoid -> LOGISTIC."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.int16_table import lower_int16_table

OUTPUT_SCALE, OUTPUT_ZERO_POINT = 1 / 256, -128  # the int8 kernels accept nothing else


def lower_sigmoid(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Sigmoid on int8 or int16."""
    if lowering.dequantized(node, 0).dtype == np.int16:
        lower_int16_table(lowering, node, "LOGISTIC")
        return
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.require_types(node, (np.int8,), source, result)
    lowering.require_grid(node, result, OUTPUT_SCALE, OUTPUT_ZERO_POINT)
    lowering.emit(node, "LOGISTIC", [lowering.tensor(source.name)], [lowering.tensor(result.name)], 2)
