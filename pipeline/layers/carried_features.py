"""The encoder's features as the masks multiply them: in a quantized network a tensor of their own.

What is rounded away there reaches the output as it is, where the network of masks averages much out. The norm before the masks wants
the channels at their own sizes, and one grid for all of them is then as coarse as the loudest channel needs. So the encoder's convolution
is run once more, with a gain for each channel that the decoder's weights take back (docs/adr/0041-noise-at-the-output.md).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.encoder.quantized import QuantizedEncoder
from pipeline.layers.encoder.to_onnx import convolve
from pipeline.layers.quantized_layer import QuantizedLayer


class CarriedFeatures(nn.Module):
    """Features [B, F, N] of a waveform, as the encoder made them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, _: Tensor, features: Tensor) -> Tensor:
        return features


class QuantizedCarriedFeatures(QuantizedLayer):
    """Features by the encoder's weights, each channel times its ``gain`` [N], on a grid of their own."""

    gain: Tensor

    def __init__(self, layer: CarriedFeatures) -> None:
        super().__init__(layer)
        self.register_buffer("gain", torch.ones(layer.channels))
        self.encoders: list[QuantizedEncoder] = []  # the one; in a list: no part of this module

    def read_from(self, producers: list[QuantizedLayer]) -> None:
        self.encoders = cast(list[QuantizedEncoder], producers)

    def forward(self, waveform: Tensor, features: Tensor) -> Tensor:
        exact = features if getattr(self.output_quantizer, "observing", False) else self.encoders[0].features(waveform)
        result: Tensor = self.output_quantizer(exact * self.gain)
        return result


def emit_carried_features(graph: GraphBuilder, layer: QuantizedCarriedFeatures, inputs: list[Value], name: str) -> Value:
    """The encoder's convolution with other scales of its weights."""
    (encoder,) = layer.encoders
    return convolve(graph, encoder, inputs[0], name, layer.output_quantizer, layer.gain)


def emit_float_carried_features(graph: FloatGraph, layer: CarriedFeatures, inputs: list[str], name: str) -> str:
    """Nothing."""
    return inputs[1]


CARRIED_FEATURES = Layer(CarriedFeatures, Twin(QuantizedCarriedFeatures, emit_carried_features), emit_float_carried_features)
