"""The input: int16 PCM to digits by integer arithmetic, then the encoder's convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.encoder.quantized import INPUT_SCALE, QuantizedEncoder, SplitEncoder, digit_weights
from pipeline.layers.encoder.splitter import emit_rounder, emit_splitter
from pipeline.quantization.grid import WeightQuantizer


def emit_encoder(graph: GraphBuilder, layer: QuantizedEncoder, inputs: list[Value], name: str) -> Value:
    """Splitter, or 8-bit input, and convolution."""
    return convolve(graph, layer, inputs[0], name, layer.output_quantizer)


def digit_codes(weight: Tensor, quantizer: WeightQuantizer) -> np.ndarray:
    """int8 weights [O, D * I, ...] of what the splitter makes: of the high byte's copies, the middle and the low digit."""
    return np.concatenate([quantizer.codes(part).numpy() for part in digit_weights(weight, quantizer)], axis=1)


def convolve(graph: GraphBuilder, layer: QuantizedEncoder, pcm: Value, name: str, quantizer: Any, gain: Tensor | None = None) -> Value:
    """The convolution of an encoder, each channel times its ``gain`` [N], on the grid of ``quantizer``. What it reads is made once."""
    assert isinstance(layer.weight_quantizer, WeightQuantizer)
    split = isinstance(layer, SplitEncoder)
    reads = "splitter" if split else "input"
    if reads not in graph.shared:
        graph.shared[reads] = (emit_splitter if split else emit_rounder)(graph, pcm, np.float32(INPUT_SCALE), reads)
    x = graph.shared[reads]
    codes = digit_codes(layer.weight, layer.weight_quantizer) if split else layer.weight_quantizer.codes(layer.weight).numpy()
    scales = layer.weight_quantizer.scale()
    scale = (scales if gain is None else scales * gain).numpy()
    edge = graph.node("Conv", [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0)], f"{name}/conv", strides=[layer.stride])
    if layer.relu:
        edge = graph.node("Relu", [edge], f"{name}/relu")
    frames = (x.frames - layer.kernel_size) // layer.stride + 1
    return graph.write(edge, name, len(codes), frames, quantizer)
