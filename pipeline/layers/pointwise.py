"""1x1 convolutions and linear maps of the channels."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value, layer_name
from pipeline.layers.accounting import Macs, alike
from pipeline.layers.activation import Activation, activate
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.folding import FoldingConv, FoldsGain
from pipeline.layers.named import named
from pipeline.layers.quantized_layer import TableLookup
from pipeline.layers.weighted_layer import WeightedLayer, convolution_operands
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.kernel_grids import LogisticQuantizer, TanhQuantizer


class Pointwise(FoldingConv):
    """1x1 convolution [..., I] to [..., O], with the named activation."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True, activation: str = "linear") -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(functional.linear(x, self.weight[:, :, 0], self.bias), self.activation)

    def folded(self, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight * gamma[:, None], self.weight[:, :, 0] @ beta

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Pointwise:
        """With a matrix [O, I] and a bias [O]."""
        made = cls(weight.shape[1], weight.shape[0])
        made.weight, made.bias = nn.Parameter(weight.detach()[:, :, None].clone()), nn.Parameter(bias.detach().clone())
        return made

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Over chunks it is a 2-D convolution without a fused activation, which the paper's counter never counts."""
        macs = inputs[0].numel() * self.out_channels
        return Macs(0 if inputs[0].dim() == 4 else macs, macs)

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each output channel."""
        return len(self.weight), self.weight.numel()


def with_activation(layer: nn.Module, activation: str) -> nn.Module:
    """A linear layer and the activation behind it: in the layer where its twin has it there, else a layer of its own."""
    if activation == "linear":
        return layer
    if isinstance(layer, Pointwise) and activation != "gelu":
        layer.activation = activation
        return layer
    return named(linear=layer, activation=Activation(activation))


class Linear(FoldsGain, nn.Linear):
    """Linear map of the channels [..., I] to [..., O], with the named activation."""

    def __init__(self, in_channels: int, out_channels: int, activation: str = "linear") -> None:
        super().__init__(in_channels, out_channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(super().forward(x), self.activation)

    def plain(self) -> nn.Module:
        """The 1x1 convolution that computes the same, with the same gain."""
        pointwise = Pointwise.of(self.weight, self.bias)
        pointwise.folded_gain = self.folded_gain
        return with_activation(pointwise, self.activation)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """As many by both conventions."""
        return alike(inputs[0].numel() * self.out_features)

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each output channel."""
        return len(self.weight), self.weight.numel()


class QuantizedPointwise(WeightedLayer):
    """1x1 convolution with int8 weights, then the activation, then the quantizer.

    A rectifier is part of the convolution. A sigmoid and a tanh are ops of their own, between a grid of their own and the kernel's.
    """

    kernel_grids: ClassVar[dict[str, type[LogisticQuantizer | TanhQuantizer]]] = {"sigmoid": LogisticQuantizer, "tanh": TanhQuantizer}

    def __init__(self, layer: Pointwise) -> None:
        super().__init__(layer)
        self.activation = layer.activation
        if self.activation in self.kernel_grids:
            self.input_quantizer = ActivationQuantizer()
            self.output_quantizer = self.kernel_grids[self.activation]()

    def table_lookups(self) -> list[TableLookup]:
        return [TableLookup(self.input_quantizer, self.activation)] if self.activation in self.kernel_grids else []

    def forward(self, x: Tensor) -> Tensor:
        y = self.sums(x)
        if self.activation in self.kernel_grids:
            y = self.input_quantizer(y)
        result: Tensor = self.output_quantizer(activate(y, self.activation))
        return result

    def sums(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_quantizer(self.weight)[:, :, 0], self.integer_bias())


def emit_pointwise(graph: GraphBuilder, layer: QuantizedPointwise, inputs: list[Value], name: str) -> Value:
    """Conv k1, with Relu, Sigmoid or Tanh where the layer has one."""
    (x,) = inputs
    edge = graph.node("Conv", convolution_operands(graph, layer, x, layer_name(name)), f"{name}/conv")
    if layer.activation == "relu":
        edge = graph.node("Relu", [edge], f"{name}/relu")
    if layer.activation in layer.kernel_grids:
        before = graph.write(edge, f"{name}.in", len(layer.weight), x.frames, layer.input_quantizer)
        edge = graph.node(layer.activation.capitalize(), [graph.read(before)], f"{name}/{layer.activation}")
    return graph.write(edge, name, len(layer.weight), x.frames, layer.output_quantizer)


def emit_float_pointwise(graph: FloatGraph, layer: Pointwise, inputs: list[str], name: str) -> str:
    """Conv k1 and the activation; a further call has the input's name in its own."""
    operands = [inputs[0], graph.constant(f"{name}.weight", layer.weight)]
    if layer.bias is not None:
        operands.append(graph.constant(f"{name}.bias", layer.bias))
    output = graph.add("Conv", operands, f"{name}.{inputs[0]}" if name in graph.made else name, kernel_shape=[1])
    activation = {"linear": None, "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[layer.activation]
    return graph.add(activation, [output], f"{output}.{layer.activation}") if activation else output


POINTWISE = Layer(Pointwise, Twin(QuantizedPointwise, emit_pointwise), emit_float_pointwise)
