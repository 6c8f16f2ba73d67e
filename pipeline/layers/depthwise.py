"""Dilated depthwise convolutions over time."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.accounting import Macs, alike
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.folding import FoldingConv
from pipeline.layers.weighted_layer import WeightedLayer, convolution_operands


class Depthwise(FoldingConv):
    """Dilated depthwise convolution over time [B, T, C]; "same" padding, or all of it before the first frame when causal."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, causal: bool, bias: bool = True) -> None:
        super().__init__(channels, channels, kernel_size, dilation=dilation, groups=channels, bias=bias)
        span = (kernel_size - 1) * dilation
        self.pads = (span, 0) if causal else (span // 2, span - span // 2)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.weight.new_zeros(()) if self.bias is None else self.bias
        return shifted_products(x, self.weight, bias, self.dilation[0], self.pads)

    def folded(self, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight * gamma[:, None, None], self.weight.sum((1, 2)) * beta

    @classmethod
    def affine(cls, gamma: Tensor, beta: Tensor) -> Depthwise:
        """One tap, which multiplies by gamma [C] and adds beta [C]."""
        made = cls(len(gamma), 1, 1, causal=False)
        made.weight, made.bias = nn.Parameter(gamma.detach()[:, None, None].clone()), nn.Parameter(beta.detach().clone())
        return made

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """As many by both conventions."""
        return alike(output.numel() * self.weight[0].numel())

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each channel."""
        return len(self.weight), self.weight.numel()


def shifted_products(x: Tensor, weight: Tensor, bias: Tensor, dilation: int, pads: tuple[int, int]) -> Tensor:
    """Depthwise convolution of x [B, T, C] with weight [C, 1, K]: on channels-last data faster than a grouped convolution."""
    weight, frames = weight[:, 0].to(x.dtype), x.shape[1]
    padded = functional.pad(x, (0, 0, *pads))
    total = bias.to(x.dtype)
    for tap in range(weight.shape[1]):
        total = total + padded[:, tap * dilation : tap * dilation + frames] * weight[:, tap]
    return total


class QuantizedDepthwise(WeightedLayer):
    """Dilated depthwise convolution with int8 weights."""

    def __init__(self, layer: Depthwise) -> None:
        super().__init__(layer)
        self.kernel_size, self.dilation, self.pads = layer.kernel_size, layer.dilation, layer.pads

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(self.sums(x))
        return result

    def sums(self, x: Tensor) -> Tensor:
        bias = self.integer_bias()
        bias = x.new_zeros(()) if bias is None else bias
        return shifted_products(x, self.weight_quantizer(self.weight), bias, self.dilation[0], self.pads)


def emit_depthwise(graph: GraphBuilder, layer: QuantizedDepthwise, inputs: list[Value], name: str) -> Value:
    """Conv with as many groups as channels, dilated."""
    (x,) = inputs
    operands = convolution_operands(graph, layer, x, name)
    edge = graph.node("Conv", operands, f"{name}/conv", group=x.channels, dilations=list(layer.dilation), pads=list(layer.pads))
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_float_depthwise(graph: FloatGraph, layer: Depthwise, inputs: list[str], name: str) -> str:
    """Conv with as many groups as channels."""
    operands = [inputs[0], graph.constant(f"{name}.weight", layer.weight)]
    if layer.bias is not None:
        operands.append(graph.constant(f"{name}.bias", layer.bias))
    shape, dilations = list(layer.kernel_size), list(layer.dilation)
    return graph.add("Conv", operands, name, kernel_shape=shape, dilations=dilations, pads=list(layer.pads), group=layer.groups)


DEPTHWISE = Layer(Depthwise, Twin(QuantizedDepthwise, emit_depthwise), emit_float_depthwise)
