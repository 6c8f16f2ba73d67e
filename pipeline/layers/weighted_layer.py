"""Quantized layers with int8 weights and an int32 bias, and the operands of their ONNX nodes."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.folding import FoldingConv
from pipeline.layers.quantized_layer import QuantizedLayer, quantized_bias
from pipeline.quantization.grid import WeightQuantizer


class WeightedLayer(QuantizedLayer):
    """A twin with int8 weights and an int32 bias. A gain that was folded into the float layer's channels is no part of what is trained."""

    def __init__(self, layer: FoldingConv) -> None:
        super().__init__(layer)
        self.weight, self.bias, gain = layer.weight, layer.bias, layer.folded_gain
        if gain is not None:
            self.weight = nn.Parameter(layer.weight.detach() / gain.view(-1, *[1] * (layer.weight.dim() - 1)))
            self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach() / gain)
        self.weight_quantizer = WeightQuantizer(self.weight, gain)

    @abstractmethod
    def sums(self, x: Tensor) -> Tensor:
        """What the int32 sums stand for, bias included, before activation and output grid: x [..., I] to [..., O]."""

    def whole_bias(self) -> Tensor | None:
        """The bias [C] with the channels' gain, as shipped but for rounding; None without one."""
        return None if self.bias is None else self.weight_quantizer.amplified(self.bias)

    def integer_bias(self) -> Tensor | None:
        """:meth:`whole_bias` on its int32 grid."""
        bias = self.whole_bias()
        return None if bias is None else quantized_bias(bias, self.input_quantizers[0].grid()[0], self.weight_quantizer.scale())


def convolution_operands(graph: GraphBuilder, layer: WeightedLayer, x: Value, name: str) -> list[str]:
    """Input, weight and, where the layer has one, bias of a Conv."""
    codes, scale = layer.weight_quantizer.codes(layer.weight).numpy(), layer.weight_quantizer.scale().numpy()
    operands = [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0)]
    bias = layer.whole_bias()
    if bias is not None:
        operands.append(graph.bias(f"{name}.bias", bias.detach().numpy(), x.grid(), scale))
    return operands
