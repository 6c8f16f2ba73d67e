"""The 16-bit input: splitter and encoder (FQSS paper, section III-B), or the plain 8-bit input of vanilla QAT.

A mono waveform is [B, T], one of A channels [B, A, T].
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.encoder.float import Encoder, RectifiedEncoder
from pipeline.layers.quantized_layer import QuantizedLayer, quantized_bias
from pipeline.quantization.grid import WeightQuantizer

INPUT_SCALE = 1 / 128
FloatEncoder = Encoder | RectifiedEncoder


def split(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """High and low byte of a waveform on the 16-bit grid, of any shape, both int8 codes / 128.

    For the sample code N: hi = N >> 8, lo = (N & 255) - 128, so N = 256 * hi + lo + 128. Lossless.
    """
    code = torch.round(waveform * 32768)
    high = torch.floor(code / 256)
    return high * INPUT_SCALE, (code - 256 * high - 128) * INPUT_SCALE


class QuantizedEncoder(QuantizedLayer, ABC):
    """Base of the encoders: a waveform to features [B, F, N]. ``weight`` is [N, I, K] for the I int8 channels of :meth:`codes`."""

    def __init__(self, layer: FloatEncoder, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.audio_channels, self.kernel_size = layer.filters.shape[1:]
        self.stride = layer.stride if isinstance(layer.stride, int) else layer.stride[0]
        self.relu = layer.relu if isinstance(layer, Encoder) else True
        self.weight_quantizer = WeightQuantizer(self.weight)

    @abstractmethod
    def codes(self, waveform: Tensor) -> Tensor:
        """A waveform [B, A, T] as int8 codes / 128, [B, I, T]."""

    def integer_bias(self) -> Tensor:
        """The bias on its int32 grid."""
        return quantized_bias(self.bias, INPUT_SCALE, self.weight_quantizer.scale())

    def forward(self, waveform: Tensor) -> Tensor:
        codes = self.codes(waveform.view(len(waveform), self.audio_channels, -1))
        frames = codes.unfold(-1, self.kernel_size, self.stride).transpose(1, 2).flatten(2)  # [B, F, I * K]
        features = functional.linear(frames, self.weight_quantizer(self.weight).flatten(1), self.integer_bias())
        result: Tensor = self.output_quantizer(functional.relu(features) if self.relu else features)
        return result


class SplitEncoder(QuantizedEncoder):
    """Encoder on the two bytes of each sample, the high bytes of all channels before the low ones: I = 2 * A.

    The high byte takes the float filters. The ideal weight of the low byte is 1/256 of them, below half a step of the
    int8 weights that the two bytes share, so it starts at 0 and is trained. The floor of the split lowers every sample
    by half a step of the high byte on average; the bias makes up for it.
    """

    def __init__(self, layer: FloatEncoder) -> None:
        filters = layer.filters.detach()  # [N, A, K]
        super().__init__(layer, torch.cat([filters, torch.zeros_like(filters)], dim=1), filters.sum((1, 2)) * INPUT_SCALE / 2)

    def codes(self, waveform: Tensor) -> Tensor:
        return torch.cat(split(waveform), dim=1)


class ByteEncoder(QuantizedEncoder):
    """Encoder on an input rounded to 8 bits, I = A: the baseline without the splitter."""

    def __init__(self, layer: FloatEncoder) -> None:
        filters = layer.filters.detach()
        super().__init__(layer, filters.clone(), torch.zeros(len(filters)))

    def codes(self, waveform: Tensor) -> Tensor:
        return torch.floor((torch.round(waveform * 32768) + 128) / 256).clamp(-128, 127) * INPUT_SCALE
