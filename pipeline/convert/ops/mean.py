"""ReduceMean -> AVERAGE_POOL_2D (int8 over time on one grid) or MEAN."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from export_specs.layout import Layout
from pipeline.convert.builtin_operators import AVERAGE_POOL_2D, MEAN
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.reduction import reduction_axes

TIME_AXIS = 2


@lowers("ReduceMean", emits=(AVERAGE_POOL_2D, MEAN))
def lower_reduce_mean(lowering: Lowering, node: NodeProto) -> None:
    """Lower a ReduceMean on int8 or int16.

    AVERAGE_POOL_2D sums exactly and rounds once; int8 MEAN is biased by up to 0.75 LSB where the output's scale is the finer one.
    """
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    axes, keep = reduction_axes(lowering, node)
    body = lowering.layout(source.name) is Layout.FRAMES
    inputs, outputs = [lowering.tensor(source.name)], [lowering.tensor(result.name)]
    if body and axes == [TIME_AXIS] and keep and source.dtype == np.int8 and source.grid == result.grid:
        time = lowering.graph.shape(source.name)[TIME_AXIS]
        options = {"padding": schema.Padding.VALID, "strideW": 1, "strideH": 1, "filterWidth": 1, "filterHeight": time}
        lowering.emit(node, AVERAGE_POOL_2D, inputs, outputs, **options)
        return
    tflite_axes = sorted(lowering.axis(source.name, axis) for axis in axes)
    if lowering.layout(source.name) is Layout.PLAIN and axes == [2] and keep and source.dtype == np.int8 and source.grid == result.grid:
        length = lowering.graph.shape(source.name)[2]
        options = {"padding": schema.Padding.VALID, "strideW": 1, "strideH": 1, "filterWidth": length, "filterHeight": 1}
        lowering.emit(node, AVERAGE_POOL_2D, inputs, outputs, **options)
        return
    if body and not keep:  # the width of 1 is no axis of the ONNX tensor, so it goes as well
        lowering.require(node, axes == [1, TIME_AXIS], f"keepdims=0 over axes {axes}", "reduce axes [1, 2], or keep the axes")
        tflite_axes = [1, 2, 3]
    inputs.append(lowering.constant(f"{result.name}/axes", np.array(tflite_axes, np.int32)))
    lowering.emit(node, MEAN, inputs, outputs, keepDims=keep)
