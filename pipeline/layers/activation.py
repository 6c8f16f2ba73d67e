"""Activations: inside other layers by name, or as layers of their own."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.quantized_layer import QuantizedLayer, Quantizer, TableLookup
from pipeline.quantization.grid import ProductQuantizer
from pipeline.quantization.kernel_grids import LogisticQuantizer

GELU_SLOPE = 1.702  # of the sigmoid in x * sigmoid(1.702 x) (Hendrycks and Gimpel 2016)
UNIT_CODE = 64


def activate(x: Tensor, activation: str) -> Tensor:
    """The named activation: linear, relu, sigmoid, tanh, gelu, or glu, which halves the channels."""
    match activation:
        case "linear":
            return x
        case "relu":
            return functional.relu(x)
        case "sigmoid":
            return torch.sigmoid(x)
        case "tanh":
            return torch.tanh(x)
        case "gelu":
            return functional.gelu(x)
        case "glu":
            return functional.glu(x)
    raise ValueError(f"no activation '{activation}'")


class Activation(nn.Module):
    """The named activation as a layer of its own, where it follows one that has none inside."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(x, self.activation)


class QuantizedActivation(QuantizedLayer):
    """GELU as x * sigmoid(1.702 x), or a sigmoid: by the kernel of LOGISTIC and its fixed grid."""

    def __init__(self, layer: Activation) -> None:
        super().__init__()
        self.activation = layer.activation
        self.gate_quantizer = LogisticQuantizer()
        if self.activation == "sigmoid":
            self.output_quantizer = LogisticQuantizer()
        else:
            self.output_quantizer = ProductQuantizer()

    def connect(self, inputs: list[Quantizer]) -> None:
        super().connect(inputs)
        if isinstance(self.output_quantizer, ProductQuantizer):
            self.output_quantizer.factors = [*inputs, self.gate_quantizer]

    def table_lookups(self) -> list[TableLookup]:
        return [TableLookup(self.input_quantizers[0], "sigmoid", 1.0 if self.activation == "sigmoid" else GELU_SLOPE)]

    def forward(self, x: Tensor) -> Tensor:
        if self.activation == "sigmoid":
            y = torch.sigmoid(x)
        else:
            y = x * self.gate_quantizer(torch.sigmoid(GELU_SLOPE * x))
        result: Tensor = self.output_quantizer(y)
        return result


def emit_activation(graph: GraphBuilder, layer: QuantizedActivation, inputs: list[Value], name: str) -> Value:
    """Sigmoid; or, as GELU, the product with one of the same codes on a coarser grid.

    The codes get there by a product with a constant, because a tensor has one grid: its factor of the codes is exactly 1.
    """
    (x,) = inputs
    if layer.activation == "sigmoid":
        return graph.write(graph.node("Sigmoid", [graph.read(x)], f"{name}/sigmoid"), name, x.channels, x.frames, layer.output_quantizer)
    slope = np.float32(GELU_SLOPE)
    constant = graph.dequantize(graph.const("gelu/slope", [[[UNIT_CODE]]], np.int8), slope / np.float32(UNIT_CODE))
    steeper = graph.node("Mul", [graph.read(x), constant], f"{name}/steeper_float")
    argument = graph.write_on(steeper, f"{name}/steeper", x.channels, x.frames, np.float32(x.grid() * slope), x.zero_point)
    edge = graph.node("Sigmoid", [graph.read(argument)], f"{name}/sigmoid")
    gate = graph.write(edge, f"{name}/gate", x.channels, x.frames, layer.gate_quantizer)
    product = graph.node("Mul", [graph.read(x), graph.read(gate)], f"{name}/product")
    return graph.write(product, name, x.channels, x.frames, layer.output_quantizer)


def emit_float_activation(graph: FloatGraph, layer: Activation, inputs: list[str], name: str) -> str:
    """Sigmoid; or GELU by the error function, as the float network has it."""
    if layer.activation == "sigmoid":
        return graph.add("Sigmoid", inputs, name)
    scaled = graph.add("Mul", [inputs[0], graph.constant("gelu.root", np.full((1, 1, 1), 1 / math.sqrt(2), np.float32))], f"{name}.scaled")
    error = graph.add("Erf", [scaled], f"{name}.erf")
    part = graph.add("Add", [error, graph.constant("gelu.one", np.ones((1, 1, 1), np.float32))], f"{name}.part")
    half = graph.add("Mul", [part, graph.constant("gelu.half", np.full((1, 1, 1), 0.5, np.float32))], f"{name}.half")
    return graph.add("Mul", [inputs[0], half], name)


ACTIVATION = Layer(Activation, Twin(QuantizedActivation, emit_activation), emit_float_activation)
