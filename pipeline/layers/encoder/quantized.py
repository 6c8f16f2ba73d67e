"""The 16-bit input: splitter and encoder (FQSS paper, section III-B), or the plain 8-bit input of vanilla QAT, or for studies one
of 16 bits in one piece.

A mono waveform is [B, T], one of A channels [B, A, T].
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.encoder.float import Encoder, RectifiedEncoder
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.grid import WeightQuantizer

INPUT_SCALE = 1 / 128
BYTE, NIBBLE = 256, 16
HIGH_COPIES = 2  # channels of the convolution that carry the high byte
FloatEncoder = Encoder | RectifiedEncoder


def split(waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three digits of a waveform on the 16-bit grid, of any shape, as int8 codes / 128: the high byte and the low byte in two nibbles.

    A sample code N is 256 * high + 16 * middle + low, with high and 256 * high + 16 * middle the nearest to N that there are: every code is
    kept, 0 is (0, 0, 0), and a small sample has no high byte whatever its sign. middle and low are -8...7, but where the high byte stops
    at 127 middle goes up to 16.
    """
    code = torch.round(waveform * 32768)
    nibbles = torch.floor((code + NIBBLE // 2) / NIBBLE)
    high = torch.floor((nibbles + NIBBLE // 2) / NIBBLE).clamp(max=127)
    return high * INPUT_SCALE, (nibbles - NIBBLE * high) * INPUT_SCALE, (code - NIBBLE * nibbles) * INPUT_SCALE


def digit_weights(weight: Tensor, quantizer: WeightQuantizer) -> list[Tensor]:
    """Quantized weights [O, I, ...] of the high byte, once for each of its HIGH_COPIES, of the middle and of the low digit.

    All meet in one int32 sum and share a scale, with which the low byte's weights, 1/256 of the high byte's, would be below half a step.
    So two channels carry the high byte, which gives it twice the range, and the low byte comes in two digits, of which the middle one has
    weights 16 times as large.
    """
    parts: list[Tensor] = []
    for copy in range(HIGH_COPIES):
        rest = torch.stack([weight, *(-part for part in parts)]).sum(0)
        parts.append(quantizer(rest / (HIGH_COPIES - copy)))
    return [*parts, quantizer(weight / NIBBLE), quantizer(weight / BYTE)]


def digit_kernel(weight: Tensor, quantizer: WeightQuantizer) -> Tensor:
    """:func:`digit_weights` for the digits of :func:`split`, joined: [O, 3 I, ...]."""
    parts = digit_weights(weight, quantizer)
    return torch.cat([torch.stack(parts[:HIGH_COPIES]).sum(0), *parts[HIGH_COPIES:]], dim=1)


class QuantizedEncoder(QuantizedLayer, ABC):
    """Base of the encoders: a waveform to features [B, F, N]. ``weight`` [N, A, K]; there is no bias, so that zeros in are zeros out."""

    def __init__(self, layer: FloatEncoder) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.filters.detach().clone())
        self.audio_channels, self.kernel_size = layer.filters.shape[1:]
        self.stride = layer.stride if isinstance(layer.stride, int) else layer.stride[0]
        self.relu = layer.relu if isinstance(layer, Encoder) else True

    @abstractmethod
    def codes(self, waveform: Tensor) -> Tensor:
        """A waveform [B, A, T] as codes / 128 [B, D * A, T] of its D digits."""

    @abstractmethod
    def kernel(self) -> Tensor:
        """Quantized weights [N, D * A, K] of the digits."""

    def forward(self, waveform: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(self.features(waveform))
        return result

    def features(self, waveform: Tensor) -> Tensor:
        """What the int32 sums stand for, rectified where the network does that, before the output grid."""
        codes = self.codes(waveform.view(len(waveform), self.audio_channels, -1))
        frames = codes.unfold(-1, self.kernel_size, self.stride).transpose(1, 2).flatten(2)  # [B, F, D * A * K]
        features = functional.linear(frames, self.kernel().flatten(1))
        return functional.relu(features) if self.relu else features


class SplitEncoder(QuantizedEncoder):
    """Encoder on the digits of each sample, the high ones of all channels before the others."""

    def __init__(self, layer: FloatEncoder) -> None:
        super().__init__(layer)
        self.weight_quantizer = WeightQuantizer(self.weight / HIGH_COPIES)

    def codes(self, waveform: Tensor) -> Tensor:
        return torch.cat(split(waveform), dim=1)

    def kernel(self) -> Tensor:
        return digit_kernel(self.weight, self.weight_quantizer)


class ByteEncoder(QuantizedEncoder):
    """Encoder on an input rounded to 8 bits: the baseline without the splitter."""

    def __init__(self, layer: FloatEncoder) -> None:
        super().__init__(layer)
        self.weight_quantizer = WeightQuantizer(self.weight)

    def codes(self, waveform: Tensor) -> Tensor:
        return torch.floor((torch.round(waveform * 32768) + 128) / 256).clamp(-128, 127) * INPUT_SCALE

    def kernel(self) -> Tensor:
        quantized: Tensor = self.weight_quantizer(self.weight)
        return quantized


class Int16Encoder(ByteEncoder):
    """Encoder on 16 bits in one piece, what a splitter is to come near to; simulated alone."""

    def codes(self, waveform: Tensor) -> Tensor:
        return torch.round(waveform * 32768).clamp(-32768, 32767) / 32768
