"""The kernels of LOGISTIC and TANH: on int8 a table of 256 codes, on int16 one of 256 values between which they interpolate."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import BuiltinOperator
from pipeline.convert.lowering import Lowering

INPUT_SCALE = 2.0**-10  # of int16; at 2^-11 and 2^-12 LiteRT's optimised kernels take polynomials that are up to 12 LSB away
OUTPUT_SCALE = 2.0**-15  # the int16 kernels accept nothing else


def lower_table(lowering: Lowering, node: NodeProto, builtin: BuiltinOperator, scale: float, zero_point: int) -> None:
    """Lower a Sigmoid or Tanh: on int8 to the one grid that its kernels have, on int16 with the scales that every kernel computes alike."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    inputs, outputs = [lowering.tensor(source.name)], [lowering.tensor(result.name)]
    if source.dtype == np.int8:
        lowering.require_grid(node, result, scale, zero_point)
        lowering.emit(node, builtin, inputs, outputs)
        return
    for name, grid, scale in (("input", source.grid, INPUT_SCALE), ("output", result.grid, OUTPUT_SCALE)):
        lowering.require(node, grid.scale[0] == scale, f"its {name} has {grid}", f"train and export it with scale 2^{int(np.log2(scale))}")
    lowering.emit(node, builtin, inputs, outputs)
