"""Spectrograms as one sequence, and back."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.quantized_layer import Rearrangement


class JoinBins(nn.Module):
    """A spectrogram [B, Fr, T, C] as one sequence [B, Fr * T, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2)


class SplitBins(nn.Module):
    """One sequence [B, Fr * T, C] as a spectrogram [B, Fr, T, C] of ``bins`` frequencies."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(1, (self.bins, -1))
        return split


class QuantizedJoinBins(Rearrangement):
    """A spectrogram as one sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2)


class QuantizedSplitBins(Rearrangement):
    """One sequence as a spectrogram."""

    def __init__(self, layer: SplitBins) -> None:
        super().__init__()
        self.bins = layer.bins

    def forward(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(1, (self.bins, -1))
        return split


def emit_join_bins(_: GraphBuilder, __: QuantizedJoinBins, inputs: list[Value], ___: str) -> Value:
    """Nothing: a chain is a chain."""
    return replace(inputs[0], sequences=1)


def emit_split_bins(_: GraphBuilder, layer: QuantizedSplitBins, inputs: list[Value], __: str) -> Value:
    """Nothing."""
    return replace(inputs[0], sequences=layer.bins)


def emit_float_nothing(_: FloatGraph, __: nn.Module, inputs: list[str], ___: str) -> str:
    """Nothing."""
    return inputs[0]


JOIN_BINS = Layer(JoinBins, Twin(QuantizedJoinBins, emit_join_bins), emit_float_nothing)
SPLIT_BINS = Layer(SplitBins, Twin(QuantizedSplitBins, emit_split_bins), emit_float_nothing)
