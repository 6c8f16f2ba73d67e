"""The sources of a mixture: out of the channels of masks, and side by side at the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.quantized_layer import QuantizedLayer, Rearrangement


class SelectSource(nn.Module):
    """The mask of one source out of [B, F, S * N]: [B, F, N]."""

    def __init__(self, source: int, channels: int) -> None:
        super().__init__()
        self.start, self.stop = source * channels, (source + 1) * channels

    def forward(self, masks: Tensor) -> Tensor:
        return masks[..., self.start : self.stop]


class StackSources(nn.Module):
    """S waveforms [B, T] or [B, A, T] to [B, S, T] or [B, S, A, T]."""

    def forward(self, *waveforms: Tensor) -> Tensor:
        return torch.stack(waveforms, dim=1)


class QuantizedSelectSource(Rearrangement):
    """Slice of the masks."""

    def __init__(self, layer: SelectSource) -> None:
        super().__init__()
        self.start, self.stop = layer.start, layer.stop

    def forward(self, masks: Tensor) -> Tensor:
        return masks[..., self.start : self.stop]


class QuantizedStackSources(QuantizedLayer):
    """S waveforms [B, T] or [B, A, T] to [B, S, ...]; they are 16-bit already."""

    def __init__(self, layer: StackSources) -> None:
        super().__init__(layer)
        self.output_quantizer = nn.Identity()

    def forward(self, *waveforms: Tensor) -> Tensor:
        return torch.stack(waveforms, dim=1)


def emit_select_source(graph: GraphBuilder, layer: QuantizedSelectSource, inputs: list[Value], name: str) -> Value:
    """Slice of the int8 codes."""
    (x,) = inputs
    graph.slice(x.name, [layer.start], [layer.stop], [1], name)
    return Value(name, layer.stop - layer.start, x.frames, x.scale, x.zero_point)


def emit_stack_sources(graph: GraphBuilder, _: QuantizedStackSources, inputs: list[Value], name: str) -> Value:
    """Concat of the int16 waveforms [1, A, T] of S sources; [1, S, T] of mono ones, else [1, S, A, T]."""
    names, first = [value.name for value in inputs], inputs[0]
    if first.channels == 1:
        graph.node("Concat", names, name, axis=1)
    else:
        joined = graph.node("Concat", names, f"{name}/channels", axis=1)
        graph.reshape(joined, [1, len(inputs), first.channels, first.frames], name)
    return Value(name, len(inputs) * first.channels, first.frames)


def slice_channels(graph: GraphBuilder, codes: str, axis: int, channels: int) -> list[str]:
    """The slices of size 1 of an integer tensor along an axis."""
    return [graph.slice(codes, [channel], [channel + 1], [axis], f"{codes}/channel_{channel}") for channel in range(channels)]


def emit_float_select_source(graph: FloatGraph, layer: SelectSource, inputs: list[str], name: str) -> str:
    """Slice of the channels."""
    return graph.slice(inputs[0], 1, layer.start, layer.stop, name)


def emit_float_stack_sources(graph: FloatGraph, layer: StackSources, inputs: list[str], name: str) -> str:
    """Concat of the waveforms."""
    return graph.add("Concat", inputs, name, axis=1)


SELECT_SOURCE = Layer(SelectSource, Twin(QuantizedSelectSource, emit_select_source), emit_float_select_source)
STACK_SOURCES = Layer(StackSources, Twin(QuantizedStackSources, emit_stack_sources), emit_float_stack_sources)
