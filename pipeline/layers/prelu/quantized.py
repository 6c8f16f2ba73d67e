"""The quantized PReLU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.prelu.float import Prelu
from pipeline.layers.prelu.one_pass import quantized_prelu
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.grid import ActivationQuantizer, straight_through

TIE_BREAK = 2.0**-9


class QuantizedPrelu(QuantizedLayer):
    """PReLU on one int8 grid for input and output, as the kernel LEAKY_RELU computes it.

    What is positive keeps its code. XNNPACK holds the slope in 8 fractional bits, so it is n / 256; n is odd, which leaves a
    tie at code 128 alone, and a trifle less than n breaks that one as XNNPACK does.
    """

    quantizes_input = True

    def __init__(self, layer: Prelu) -> None:
        super().__init__(layer)
        self.weight = layer.weight

    def slope(self) -> Tensor:
        """The slope as shipped."""
        return (2 * torch.round((256 * self.weight.detach() - 1) / 2) + 1 - TIE_BREAK) / 256

    def forward(self, x: Tensor) -> Tensor:
        quantizer = self.output_quantizer
        assert not isinstance(quantizer, nn.Identity)
        if quantizer.observing:
            observed: Tensor = quantizer(torch.stack([x, functional.prelu(x, self.weight)]))[1]
            return observed
        if self.training and isinstance(quantizer, ActivationQuantizer):  # in eval mode hooks see what each quantizer gives
            return quantized_prelu(x, quantizer.ends(), quantizer.grid(), self.weight, self.slope())
        result: Tensor = quantizer(functional.prelu(quantizer(x), straight_through(self.slope(), self.weight)))
        return result
