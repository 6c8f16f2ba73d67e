"""Analysis filterbanks as float ONNX nodes."""

from __future__ import annotations

from torch import Tensor

from pipeline.export.float_graph import FloatGraph
from pipeline.layers.encoder.float import Encoder, RectifiedEncoder


def emit_float_encoder(graph: FloatGraph, layer: Encoder, inputs: list[str], name: str) -> str:
    """Conv, and a Relu where the layer has one."""
    features = _analysis(graph, layer.filters, layer.stride, inputs[0], name)
    return graph.add("Relu", [features], f"{name}.relu") if layer.relu else features


def emit_float_rectified_encoder(graph: FloatGraph, layer: RectifiedEncoder, inputs: list[str], name: str) -> str:
    """Conv and Relu."""
    return graph.add("Relu", [_analysis(graph, layer.filters, layer.stride[0], inputs[0], name)], f"{name}.relu")


def _analysis(graph: FloatGraph, filters: Tensor, stride: int, waveform: str, name: str) -> str:
    operands = [waveform, graph.constant(f"{name}.weight", filters)]
    return graph.add("Conv", operands, name, kernel_shape=[filters.shape[2]], strides=[stride])
