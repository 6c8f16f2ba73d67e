"""The int16 kernels of LOGISTIC and TANH, which read one table of 256 values and interpolate."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.lowering import Lowering

INPUT_SCALE = 2.0**-10  # at 2^-11 and 2^-12 LiteRT's optimised kernels take polynomials that are up to 12 LSB away
OUTPUT_SCALE = 2.0**-15  # the kernels accept nothing else
INT16_VERSION = 3


def lower_int16_table(lowering: Lowering, node: NodeProto, op: str) -> None:
    """Lower a Sigmoid or Tanh on int16 with the scales that every kernel computes alike."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.require_types(node, (np.int16,), source, result)
    for name, grid, scale in (("input", source.grid, INPUT_SCALE), ("output", result.grid, OUTPUT_SCALE)):
        lowering.require(node, grid.scale[0] == scale, f"its {name} has {grid}", f"train and export it with scale 2^{int(np.log2(scale))}")
    lowering.emit(node, op, [lowering.tensor(source.name)], [lowering.tensor(result.name)], INT16_VERSION)
