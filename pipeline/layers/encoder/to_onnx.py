"""The input: int16 PCM to digits by integer arithmetic, then the encoder's convolution."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.encoder.quantized import INPUT_SCALE, ByteEncoder, QuantizedEncoder, SplitEncoder, digit_weights
from pipeline.layers.encoder.splitter import emit_rounder, emit_splitter
from pipeline.quantization.grid import WeightQuantizer


def emit_split_encoder(graph: GraphBuilder, layer: SplitEncoder, inputs: list[Value], name: str) -> Value:
    """Splitter and convolution."""
    (pcm,) = inputs
    codes = emit_splitter(graph, pcm, np.float32(INPUT_SCALE), "splitter")
    return _convolve(graph, layer, codes, digit_codes(layer.weight, layer.weight_quantizer), name)


def digit_codes(weight: Tensor, quantizer: WeightQuantizer) -> np.ndarray:
    """int8 weights [O, D * I, ...] of what the splitter makes: of the high byte's copies, the middle and the low digit."""
    return np.concatenate([quantizer.codes(part).numpy() for part in digit_weights(weight, quantizer)], axis=1)


def emit_byte_encoder(graph: GraphBuilder, layer: ByteEncoder, inputs: list[Value], name: str) -> Value:
    """8-bit input and convolution."""
    (pcm,) = inputs
    codes = layer.weight_quantizer.codes(layer.weight).numpy()
    return _convolve(graph, layer, emit_rounder(graph, pcm, np.float32(INPUT_SCALE), "input"), codes, name)


def _convolve(graph: GraphBuilder, layer: QuantizedEncoder, x: Value, codes: np.ndarray, name: str) -> Value:
    assert isinstance(layer.weight_quantizer, WeightQuantizer)
    scale = layer.weight_quantizer.scale().numpy()
    edge = graph.node("Conv", [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0)], f"{name}/conv", strides=[layer.stride])
    if layer.relu:
        edge = graph.node("Relu", [edge], f"{name}/relu")
    frames = (x.frames - layer.kernel_size) // layer.stride + 1
    return graph.write(edge, name, len(codes), frames, layer.output_quantizer)
