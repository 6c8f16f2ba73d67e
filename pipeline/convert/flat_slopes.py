"""LeakyRelus whose negative branch is the code of 0 for every code: on their grid they are Relus, which other operators compute on the way.

Exactness: bit for bit. With one grid before and after, a code q below the zero point z becomes z + round(slope * (q - z)), and q is -128 at
least, so that for |slope| * (128 + z) < 1/2 it is z. XNNPACK takes int8 LEAKY_RELU for slopes from 1/256 on, and neither RELU nor PRELU by
itself: three PReLUs of such slopes took a fifth of the edge Conv-TasNet's time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from onnx import NodeProto

from pipeline.convert.graph import OnnxGraph
from pipeline.convert.quantization import Quantization

LEAST_SLOPE = 1 / 256  # that XNNPACK takes


class Rectified(NamedTuple):
    """A tensor that a flat LeakyRelu makes of another: the LeakyRelu, and the name of what its QuantizeLinear makes."""

    node: NodeProto
    name: str


def is_flat(slope: float, grid: Quantization) -> bool:
    """Whether the negative branch is the zero point for all int8 codes."""
    return abs(slope) * (128 + grid.zero_point[0]) < 0.5


def flat_rectifier(graph: OnnxGraph, name: str) -> Rectified | None:
    """The flat LeakyRelu that alone reads the int8 tensor ``name`` and leaves its grid as it is; None where there is none."""
    dequantize = _only_reader(graph, name, "DequantizeLinear")
    leaky = _only_reader(graph, dequantize.output[0], "LeakyRelu") if dequantize is not None else None
    quantize = _only_reader(graph, leaky.output[0], "QuantizeLinear") if leaky is not None else None
    if leaky is None or quantize is None or graph.dtype(name) != np.int8 or graph.dtype(quantize.output[0]) != np.int8:
        return None
    grid, slope = graph.grid_of(quantize), float(graph.attributes(leaky).get("alpha", 0.01))
    if graph.grid(name) != grid or not grid.per_tensor or not is_flat(slope, grid):
        return None
    return Rectified(leaky, str(quantize.output[0]))


def _only_reader(graph: OnnxGraph, name: str, op_type: str) -> NodeProto | None:
    readers = graph.consumers(name)
    if name in graph.outputs or len(readers) != 1 or readers[0].op_type != op_type or readers[0].input[0] != name:
        return None
    return readers[0]
