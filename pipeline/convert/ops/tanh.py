"""Tanh -> TANH."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.lowering import Lowering

OUTPUT_SCALE, OUTPUT_ZERO_POINT = 1 / 128, 0  # the kernels accept nothing else


def lower_tanh(lowering: Lowering, node: NodeProto) -> None:
    """Lower a Tanh on int8."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.require_types(node, (np.int8,), source, result)
    fixed = result.grid.scale[0] == OUTPUT_SCALE and result.grid.zero_point[0] == OUTPUT_ZERO_POINT
    lowering.require(
        node, fixed, f"its output has {result.grid}", "train and export it with scale 1/128 and zero point 0, which the kernel fixes"
    )
    lowering.emit(node, "TANH", [lowering.tensor(source.name)], [lowering.tensor(result.name)], 2)
