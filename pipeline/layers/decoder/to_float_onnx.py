"""Synthesis filterbanks as float ONNX nodes."""

from __future__ import annotations

from pipeline.export.float_graph import FloatGraph
from pipeline.layers.decoder.float import Decoder, FrameDecoder


def emit_float_decoder(graph: FloatGraph, layer: Decoder | FrameDecoder, inputs: list[str], name: str) -> str:
    """ConvTranspose, for each of the sources."""
    output = f"{name}.{inputs[0]}"  # one decoder serves every source
    operands = [inputs[0], graph.constant(f"{output}.weight", layer.filters)]
    return graph.add("ConvTranspose", operands, output, kernel_shape=[layer.filters.shape[2]], strides=[layer.stride])
