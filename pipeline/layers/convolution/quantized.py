"""Quantized convolutions over planes and over time: spectrograms [B, Fr, T, C] and waveforms [B, T, C]."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling
from pipeline.layers.quantized_layer import QuantizedLayer, quantized_bias
from pipeline.quantization.grid import WeightQuantizer


def pair(value: tuple[int, ...]) -> tuple[int, int]:
    """A setting of a convolution over (height, width): one over time alone has height 1."""
    return (value[0], value[1]) if len(value) == 2 else (1, value[0])


class Convolution(QuantizedLayer):
    """Convolution of a plane, or over the time of a waveform or of each frequency, with int8 weights [O, I, height, width]."""

    def __init__(self, layer: TimeConv | SpectrumConv) -> None:
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

    def __init__(self, layer: TimeUpsampling | SpectrumUpsampling) -> None:
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
