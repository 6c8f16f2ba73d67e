"""DequantizeLinear directly followed by QuantizeLinear -> QUANTIZE."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import QUANTIZE
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("QuantizeLinear", emits=(QUANTIZE,), in_loop=True)
def lower_quantize(lowering: Lowering, node: NodeProto) -> None:
    """Lower a change of grid between int8, int16 and (as a source) int32.

    An int32 source must be made by Max: TFLite Micro takes scales on the int32 output of MAXIMUM but not of ADD or SUB.
    """
    output = node.output[0]
    source = lowering.dequantized(node, 0)
    if source.dtype == np.int32:
        producer = lowering.graph.producer(source.name)
        made_by_max = producer is not None and producer.op_type == "Max"
        lowering.require(node, made_by_max, f"its int32 source '{source.name}' is not made by Max", "put Max(x, lowest value) before it")
    lowering.require(node, source.name not in lowering.graph.constants, "it quantizes a constant", "fold it into an initializer")
    lowering.emit(node, QUANTIZE, [lowering.tensor(source.name)], [lowering.tensor(output)])
