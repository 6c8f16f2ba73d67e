"""LeakyRelu -> LEAKY_RELU."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.flatbuffer import options
from pipeline.convert.lowering import Lowering


def lower_leaky_relu(lowering: Lowering, node: NodeProto) -> None:
    """Lower a LeakyRelu on int8; the slope is copied as float32."""
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.require_types(node, (np.int8,), source, result)
    alpha = float(lowering.graph.attributes(node).get("alpha", 0.01))
    lowering.emit(
        node, "LEAKY_RELU", [lowering.tensor(source.name)], [lowering.tensor(result.name)], 2, options("LeakyReluOptions", alpha=alpha)
    )
