"""Quantized twins of convolutions over planes and of what goes with them: spectrograms [B, Fr, T, C] and waveforms [B, T, C]."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.attention import float as float_sequences
from pipeline.layers.convolution import float as convolutions
from pipeline.layers.elementwise import float as float_layers
from pipeline.layers.elementwise.quantized import LogisticQuantizer, Multiply, QuantizedLayer, Quantizer, Rearrangement, quantized_bias
from pipeline.layers.tables import float as tables
from pipeline.quantization.grid import ActivationQuantizer, ProductQuantizer, WeightQuantizer, straight_through

GELU_SLOPE = 1.702  # of the sigmoid in x * sigmoid(1.702 x) (Hendrycks and Gimpel 2016)


def pair(value: tuple[int, ...]) -> tuple[int, int]:
    """A setting of a convolution over (height, width): one over time alone has height 1."""
    return (value[0], value[1]) if len(value) == 2 else (1, value[0])


class Convolution(QuantizedLayer):
    """Convolution of a plane, or over the time of a waveform or of each frequency, with int8 weights [O, I, height, width]."""

    def __init__(self, layer: convolutions.TimeConv | convolutions.SpectrumConv) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(plane_weight(layer.weight.detach()).clone()), layer.bias
        self.kernel_size, self.stride = (int(self.weight.shape[2]), int(self.weight.shape[3])), pair(layer.stride)
        padding = tuple(int(size) for size in layer.padding)
        self.dilation = pair(layer.dilation)
        self.padding = (padding[0], padding[1]) if len(padding) == 2 else (0, padding[0])
        self.weight_quantizer = WeightQuantizer(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        bias = quantized_bias(cast(Tensor, self.bias), self.input_quantizers[0].grid()[0], self.weight_quantizer.scale())
        result: Tensor = self.output_quantizer(self.convolve(x, self.weight_quantizer(self.weight), bias))
        return result

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution, channels last in and out."""
        plane = x if x.dim() == 4 else x[:, None]
        y = functional.conv2d(plane.permute(0, 3, 1, 2), weight, bias, self.stride, self.padding, self.dilation).permute(0, 2, 3, 1)
        return y if x.dim() == 4 else y[:, 0]


def plane_weight(weight: Tensor) -> Tensor:
    """A weight [O, I, k] as [O, I, 1, k]; of rank 4 as it is."""
    return weight if weight.dim() == 4 else weight[:, :, None]


class Upsampling(QuantizedLayer):
    """Transposed convolution over frequency or time with int8 weights, held as [O, I, k]: a scale for each row."""

    def __init__(self, layer: convolutions.TimeUpsampling | convolutions.SpectrumUpsampling) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().transpose(0, 1).flatten(2).contiguous())
        self.bias = layer.bias
        self.kernel_size, self.stride = int(layer.kernel_size[0]), int(layer.stride[0])
        self.weight_quantizer = WeightQuantizer(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        bias = quantized_bias(cast(Tensor, self.bias), self.input_quantizers[0].grid()[0], self.weight_quantizer.scale())
        result: Tensor = self.output_quantizer(self.upsample(x, self.weight_quantizer(self.weight), bias))
        return result

    def upsample(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The transposed convolution with a weight [O, I, k], channels last in and out."""
        rows = x.movedim(1, 2).flatten(0, 1) if x.dim() == 4 else x  # [B * T, Fr, I], or [B, T, I]
        y = functional.conv_transpose1d(rows.transpose(1, 2), weight.transpose(0, 1), bias, self.stride).transpose(1, 2)
        return y.unflatten(0, (len(x), -1)).movedim(1, 2) if x.dim() == 4 else y


class GateProduct(Multiply):
    """Product of two int8 tensors that is the same on every runtime."""

    def __init__(self, layer: float_layers.GateProduct) -> None:
        super().__init__(layer)
        self.output_quantizer: ProductQuantizer = ProductQuantizer()

    def connect(self, inputs: list[Quantizer]) -> None:
        super().connect(inputs)
        self.output_quantizer.factors = list(inputs)


class Activation(QuantizedLayer):
    """GELU as x * sigmoid(1.702 x), or a sigmoid: by the kernel of LOGISTIC and its fixed grid."""

    def __init__(self, layer: float_layers.Activation) -> None:
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

    def forward(self, x: Tensor) -> Tensor:
        if self.activation == "sigmoid":
            y = torch.sigmoid(x)
        else:
            y = x * self.gate_quantizer(torch.sigmoid(GELU_SLOPE * x))
        result: Tensor = self.output_quantizer(y)
        return result


class PadToStride(Rearrangement):
    """Codes of 0 behind a waveform, up to a multiple of the stride."""

    def __init__(self, layer: convolutions.PadToStride) -> None:
        super().__init__()
        self.layer, self.stride = layer, layer.stride

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = self.layer(x)
        return padded


class Crop(Rearrangement):
    """As many bins or samples as the second tensor has, without the first ``start``."""

    def __init__(self, layer: convolutions.Crop) -> None:
        super().__init__()
        self.layer, self.start = layer, layer.start

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        cropped: Tensor = self.layer(x, like)
        return cropped


class JoinBins(Rearrangement):
    """A spectrogram as one sequence."""

    def __init__(self, _: convolutions.JoinBins) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2)


class SplitBins(Rearrangement):
    """One sequence as a spectrogram."""

    def __init__(self, layer: convolutions.SplitBins) -> None:
        super().__init__()
        self.bins = layer.bins

    def forward(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(1, (self.bins, -1))
        return split


class Table(QuantizedLayer):
    """Adds a table, on a grid of its own."""

    def __init__(self, layer: tables.Table) -> None:
        super().__init__()
        self.layer = layer
        self.table_quantizer = ActivationQuantizer()

    def rows(self, bins: int, frames: int) -> Tensor:
        """The quantized rows [bins or 1, frames or 1, C]."""
        rows: Tensor = self.table_quantizer(self.layer.rows(bins, frames))
        return rows

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows(x.shape[1] if x.dim() == 4 else 1, x.shape[-2])
        result: Tensor = self.output_quantizer(x + (rows if x.dim() == 4 else rows[0]))
        return result


class CrossHeads(QuantizedLayer):
    """Queries [B, L, C], keys and values [B, M, 2 C] to the heads' outputs [B, L, C]; grids as in AttentionHeads.

    Of more than ``LONGEST`` keys an int8 softmax would leave 0 alone: then its output is int16, and the weights get a learned grid.
    """

    LONGEST: ClassVar[int] = 511
    WIDE_GRID: ClassVar[tuple[float, int]] = (2.0**-16, -32768)  # scale and zero_point, which the kernels fix

    def __init__(self, layer: float_sequences.CrossHeads) -> None:
        super().__init__()
        self.heads = layer.heads
        self.logits_quantizer, self.weights_quantizer = ActivationQuantizer(), LogisticQuantizer()
        self.long_weights_quantizer = ActivationQuantizer()

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for part in (query, *memory.chunk(2, -1)))
        weights = torch.softmax(self.logits_quantizer(query @ key.transpose(-1, -2)), -1)
        if key.shape[-2] <= self.LONGEST:
            weights = self.weights_quantizer(weights)
        else:
            wide = (weights * 2**16).round().clamp(max=2**16 - 1) * 2**-16
            weights = self.long_weights_quantizer(straight_through(wide, weights))
        result: Tensor = self.output_quantizer((weights @ value).transpose(-2, -3).flatten(-2))
        return result
