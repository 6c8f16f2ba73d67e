"""The 16-bit inputs and outputs of a network of two branches: splitter and reconstructor (FQSS paper, sections III-B and III-C).

A branch works in deviations of its standardised input, which has no fixed full scale: what int16 full scale stands for is observed for the
inputs and learned for the outputs, and stands in the file's metadata. A spectrogram is [B, Fr, T, C], a waveform [B, T, C].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from pipeline.layers.branch_ends.float import FirstSpectrumConv, FirstTimeConv, LastSpectrumUpsampling, LastTimeUpsampling
from pipeline.layers.convolution.quantized import Convolution, Upsampling
from pipeline.layers.encoder.quantized import BYTE, HIGH_COPIES, digit_kernel, split
from pipeline.layers.quantized_layer import Quantizer, quantized_bias
from pipeline.quantization.grid import (
    QMAX,
    QMIN,
    CorrectionQuantizer,
    SymmetricQuantizer,
    WeightQuantizer,
    WholeStepsQuantizer,
    straight_through,
)

FirstConv = FirstTimeConv | FirstSpectrumConv
LastUpsampling = LastTimeUpsampling | LastSpectrumUpsampling


class InputConvolution(Convolution, ABC):
    """Base of the first layers. ``input_range`` holds the high byte's grid; int16 full scale is 128 of its steps."""

    def __init__(self, layer: FirstConv) -> None:
        super().__init__(layer)
        self.input_range = SymmetricQuantizer()
        for parameter in self.input_range.parameters():
            parameter.requires_grad_(False)

    @abstractmethod
    def codes(self, x: Tensor, scale: Tensor) -> Tensor:
        """The int8 codes of x, times ``scale``: the digits of all channels, the high ones before the others."""

    @abstractmethod
    def kernel(self) -> Tensor:
        """Quantized weights of the digits."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        if self.input_range.observing:
            self.input_range(x)
            y = self.convolve(x, self.weight, self.bias)
        else:
            scale = self.input_range.grid()[0]
            y = self.convolve(self.codes(x, scale), self.kernel(), quantized_bias(self.bias, scale, self.weight_quantizer.scale()))
        result: Tensor = self.output_quantizer(y)
        return result


class ByteConvolution(InputConvolution):
    """On an input rounded to 8 bits: the baseline without the splitter."""

    def codes(self, x: Tensor, scale: Tensor) -> Tensor:
        code = torch.round(x / scale * BYTE).clamp(-32768, 32767)
        return torch.floor((code + BYTE // 2) / BYTE).clamp(QMIN, QMAX) * scale

    def kernel(self) -> Tensor:
        return cast(Tensor, self.weight_quantizer(self.weight))


class Int16Convolution(ByteConvolution):
    """On 16 bits in one piece, simulated alone."""

    def codes(self, x: Tensor, scale: Tensor) -> Tensor:
        return torch.round(x / scale * BYTE).clamp(-32768, 32767) * (scale / BYTE)


class SplitConvolution(InputConvolution):
    """On the digits of each value (:func:`pipeline.layers.encoder.quantized.split`)."""

    def __init__(self, layer: FirstConv) -> None:
        super().__init__(layer)
        self.weight_quantizer = WeightQuantizer(self.weight / HIGH_COPIES)

    def codes(self, x: Tensor, scale: Tensor) -> Tensor:
        saturated = (x / scale / 128).clamp(-1, 32767 / 32768)
        return torch.cat(split(saturated), dim=-1) * (128 * scale)

    def kernel(self) -> Tensor:
        return digit_kernel(self.weight, self.weight_quantizer)


class ByteUpsampling(Upsampling):
    """The last layer with an 8-bit output: the baseline without the reconstructor."""

    def __init__(self, layer: LastUpsampling) -> None:
        super().__init__(layer)
        self.high_quantizer = SymmetricQuantizer()
        self.output_quantizer = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        high: Tensor = self.high_quantizer(super().forward(x))
        return high


class Int16Upsampling(ByteUpsampling):
    """The last layer with an output of 16 bits in one piece, simulated alone."""

    def forward(self, x: Tensor) -> Tensor:
        exact = Upsampling.forward(self, x)
        if self.high_quantizer.observing:
            return cast(Tensor, self.high_quantizer(exact))
        step = self.high_quantizer.grid()[0] / BYTE
        clipped = exact.clamp(-32768 * step, 32767 * step)
        return straight_through(torch.round(clipped / step) * step, clipped)


class ReconstructingUpsampling(ByteUpsampling):
    """X = Q(D(Y)), delta = Q(D(Y) - X) with a step 1/256 of that of X; the output is X + delta. All output channels share one block.

    The residue D(Y) - X is exact, as in :class:`pipeline.layers.decoder.quantized.ReconstructingDecoder`.
    """

    def __init__(self, layer: LastUpsampling) -> None:
        super().__init__(layer)
        self.correction_quantizer = CorrectionQuantizer(self.high_quantizer)
        self.weight_quantizer: WholeStepsQuantizer = WholeStepsQuantizer(self.weight, self.high_quantizer)

    def connect(self, inputs: list[Quantizer]) -> None:
        super().connect(inputs)
        self.weight_quantizer.source = inputs

    def forward(self, x: Tensor) -> Tensor:
        if self.high_quantizer.observing:  # the weights' scale comes of the grids that are being observed
            return cast(Tensor, self.high_quantizer(self.upsample(x, self.weight, self.bias)))
        exact = Upsampling.forward(self, x)
        high = self.high_quantizer(exact)
        step = self.correction_quantizer.grid()[0]
        return cast(Tensor, high + self.correction_quantizer(exact - high)).clamp(-32768 * step, 32767 * step)
