"""Quantized twins of the layers in ``pipeline/layers/elementwise/float.py``; tensors are channels-last [B, T, C].

A twin takes over its float layer's parameters. Its input is already on a grid; ``quantizers`` are the grids of its
inputs, in order, and ``output_quantizer`` the grid of its output. A layer followed by a PReLU has none of its own: the
PReLU has one grid for its input and its output.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.elementwise import float as float_layers
from pipeline.layers.elementwise.prelu_kernel import quantized_prelu
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer, straight_through

Quantizer = ActivationQuantizer | FixedQuantizer
TIE_BREAK = 2.0**-9


class QuantizedLayer(nn.Module):
    """Base of the twins."""

    def __init__(self) -> None:
        super().__init__()
        self.output_quantizer: ActivationQuantizer | FixedQuantizer | nn.Identity = ActivationQuantizer()
        self.input_quantizers: list[Quantizer] = []

    def connect(self, inputs: list[Quantizer]) -> None:
        """Tell the layer the grids of its inputs."""
        self.input_quantizers = inputs

    def grid_quantizer(self) -> Quantizer:
        """The quantizer whose grid the output lies on."""
        assert not isinstance(self.output_quantizer, nn.Identity)
        return self.output_quantizer


def quantized_bias(bias: Tensor, input_scale: Tensor | float, weight_scale: Tensor) -> Tensor:
    """A bias on its int32 grid, whose step is input_scale * weight_scale of each channel [C]."""
    step = input_scale * weight_scale
    return straight_through(torch.round(bias / step) * step, bias)


class LogisticQuantizer(FixedQuantizer):
    """The only int8 grid that the kernels of LOGISTIC and SOFTMAX have: scale 1/256, zero_point -128, for values of 0 to 255/256."""

    def __init__(self) -> None:
        super().__init__(1 / 256)

    def grid(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.scale), torch.tensor(-128.0)

    def forward(self, x: Tensor) -> Tensor:
        clipped = x.clamp(0, 255 * self.scale)
        return x if self.observing else straight_through(torch.round(clipped / self.scale) * self.scale, clipped)


class TanhQuantizer(FixedQuantizer):
    """The only int8 grid that the kernels of TANH have: scale 1/128, zero_point 0."""

    def __init__(self) -> None:
        super().__init__(1 / 128)


class WeightedLayer(QuantizedLayer):
    """A twin with int8 weights and an int32 bias. A gain that was folded into the float layer's channels is no part of what is trained."""

    def __init__(self, layer: float_layers.Pointwise | float_layers.Depthwise) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        gain = getattr(layer, "folded_gain", None)
        if gain is not None:
            self.weight = nn.Parameter(layer.weight.detach() / gain.view(-1, *[1] * (layer.weight.dim() - 1)))
            self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach() / gain)
        self.weight_quantizer = WeightQuantizer(self.weight, gain)

    def whole_bias(self) -> Tensor | None:
        """The bias [C] with the channels' gain, as shipped but for rounding; None without one."""
        return None if self.bias is None else self.weight_quantizer.amplified(self.bias)

    def integer_bias(self) -> Tensor | None:
        """:meth:`whole_bias` on its int32 grid."""
        bias = self.whole_bias()
        return None if bias is None else quantized_bias(bias, self.input_quantizers[0].grid()[0], self.weight_quantizer.scale())


class Pointwise(WeightedLayer):
    """1x1 convolution with int8 weights, then the activation, then the quantizer.

    A rectifier is part of the convolution. A sigmoid and a tanh are ops of their own, between a grid of their own and the kernel's.
    """

    kernel_grids: ClassVar[dict[str, type[LogisticQuantizer | TanhQuantizer]]] = {"sigmoid": LogisticQuantizer, "tanh": TanhQuantizer}

    def __init__(self, layer: float_layers.Pointwise) -> None:
        super().__init__(layer)
        self.activation = layer.activation
        if self.activation in self.kernel_grids:
            self.input_quantizer = ActivationQuantizer()
            self.output_quantizer = self.kernel_grids[self.activation]()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.weight_quantizer(self.weight)[:, :, 0], self.integer_bias())
        if self.activation in self.kernel_grids:
            y = self.input_quantizer(y)
        result: Tensor = self.output_quantizer(float_layers.activate(y, self.activation))
        return result


class Depthwise(WeightedLayer):
    """Dilated depthwise convolution with int8 weights."""

    def __init__(self, layer: float_layers.Depthwise) -> None:
        super().__init__(layer)
        self.kernel_size, self.dilation, self.pads = layer.kernel_size, layer.dilation, layer.pads

    def forward(self, x: Tensor) -> Tensor:
        bias = self.integer_bias()
        bias = x.new_zeros(()) if bias is None else bias
        y = float_layers.shifted_products(x, self.weight_quantizer(self.weight), bias, self.dilation[0], self.pads)
        result: Tensor = self.output_quantizer(y)
        return result


class Prelu(QuantizedLayer):
    """PReLU on one int8 grid for input and output, as the kernel LEAKY_RELU computes it.

    What is positive keeps its code. XNNPACK holds the slope in 8 fractional bits, so it is n / 256; n is odd, which leaves a
    tie at code 128 alone, and a trifle less than n breaks that one as XNNPACK does.
    """

    def __init__(self, layer: float_layers.Prelu) -> None:
        super().__init__()
        self.weight = layer.weight

    def slope(self) -> Tensor:
        """The slope as shipped."""
        return (2 * torch.round((256 * self.weight.detach() - 1) / 2) + 1 - TIE_BREAK) / 256

    def forward(self, x: Tensor) -> Tensor:
        quantizer = self.grid_quantizer()
        if quantizer.observing:
            observed: Tensor = quantizer(torch.stack([x, functional.prelu(x, self.weight)]))[1]
            return observed
        if self.training and isinstance(quantizer, ActivationQuantizer):  # in eval mode hooks see what each quantizer gives
            return quantized_prelu(x, quantizer.ends(), quantizer.grid(), self.weight, self.slope())
        result: Tensor = quantizer(functional.prelu(quantizer(x), straight_through(self.slope(), self.weight)))
        return result


class Add(QuantizedLayer):
    """Residual or skip sum of two int8 tensors."""

    def __init__(self, _: float_layers.Add) -> None:
        super().__init__()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(x + y)
        return result


class Multiply(QuantizedLayer):
    """Mask product of two int8 tensors."""

    def __init__(self, _: float_layers.Multiply) -> None:
        super().__init__()

    def forward(self, mask: Tensor, features: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(mask * features)
        return result


class Rearrangement(QuantizedLayer):
    """Base of the layers that move codes or leave some out: the output lies on the input's grid."""

    def __init__(self) -> None:
        super().__init__()
        self.output_quantizer = nn.Identity()

    def grid_quantizer(self) -> Quantizer:
        return self.input_quantizers[0]


class SelectSource(Rearrangement):
    """Slice of the masks."""

    def __init__(self, layer: float_layers.SelectSource) -> None:
        super().__init__()
        self.start, self.stop = layer.start, layer.stop

    def forward(self, masks: Tensor) -> Tensor:
        return masks[..., self.start : self.stop]


class StackSources(QuantizedLayer):
    """S waveforms [B, T] or [B, A, T] to [B, S, ...]; they are 16-bit already."""

    def __init__(self, _: float_layers.StackSources) -> None:
        super().__init__()
        self.output_quantizer = nn.Identity()

    def forward(self, *waveforms: Tensor) -> Tensor:
        return torch.stack(waveforms, dim=1)
