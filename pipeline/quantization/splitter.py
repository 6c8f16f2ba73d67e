"""The 16-bit input: splitter and encoder (FQSS paper, section III-B), or the plain 8-bit input of vanilla QAT."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models import layers as float_layers
from pipeline.quantization.grid import WeightQuantizer
from pipeline.quantization.layers import QuantizedLayer, quantized_bias

INPUT_SCALE = 1 / 128


def split(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """High and low byte of a waveform [B, T] on the 16-bit grid, both int8 codes / 128.

    For the sample code N: hi = N >> 8, lo = (N & 255) - 128, so N = 256 * hi + lo + 128. Lossless.
    """
    code = torch.round(waveform * 32768)
    high = torch.floor(code / 256)
    return high * INPUT_SCALE, (code - 256 * high - 128) * INPUT_SCALE


class SplitEncoder(QuantizedLayer):
    """Encoder on the two bytes of each sample: [B, T] to [B, F, N].

    The high byte takes the float filters. The ideal weight of the low byte is 1/256 of them, below half a step of the
    int8 weights that the two bytes share, so it starts at 0 and is trained. The floor of the split lowers every sample
    by half a step of the high byte on average; the bias makes up for it.
    """

    def __init__(self, layer: float_layers.Encoder) -> None:
        super().__init__()
        filters = layer.filterbank["_filters"].detach()  # [N, 1, K]
        self.weight = nn.Parameter(torch.cat([filters, torch.zeros_like(filters)], dim=1))  # [N, 2, K]
        self.bias = nn.Parameter(filters.sum((1, 2)) * INPUT_SCALE / 2)
        self.kernel_size, self.stride, self.relu = layer.kernel_size, layer.stride, layer.relu
        self.weight_quantizer = WeightQuantizer(self.weight)

    def integer_bias(self) -> Tensor:
        """The bias on its int32 grid."""
        return quantized_bias(self.bias, INPUT_SCALE, self.weight_quantizer.scale())

    def forward(self, waveform: Tensor) -> Tensor:
        bytes_ = torch.stack(split(waveform), dim=1)  # [B, 2, T]
        frames = bytes_.unfold(-1, self.kernel_size, self.stride).transpose(1, 2).flatten(2)  # [B, F, 2 * K]
        features = functional.linear(frames, self.weight_quantizer(self.weight).flatten(1), self.integer_bias())
        result: Tensor = self.output_quantizer(functional.relu(features) if self.relu else features)
        return result


class ByteEncoder(QuantizedLayer):
    """Encoder on an input rounded to 8 bits: the baseline without the splitter."""

    def __init__(self, layer: float_layers.Encoder) -> None:
        super().__init__()
        filters = layer.filterbank["_filters"].detach()
        self.weight, self.bias = nn.Parameter(filters.clone()), nn.Parameter(torch.zeros(len(filters)))
        self.kernel_size, self.stride, self.relu = layer.kernel_size, layer.stride, layer.relu
        self.weight_quantizer = WeightQuantizer(self.weight)

    def integer_bias(self) -> Tensor:
        """The bias on its int32 grid."""
        return quantized_bias(self.bias, INPUT_SCALE, self.weight_quantizer.scale())

    def forward(self, waveform: Tensor) -> Tensor:
        code = torch.floor((torch.round(waveform * 32768) + 128) / 256).clamp(-128, 127)
        frames = (code * INPUT_SCALE).unfold(-1, self.kernel_size, self.stride)
        features = functional.linear(frames, self.weight_quantizer(self.weight)[:, 0], self.integer_bias())
        result: Tensor = self.output_quantizer(functional.relu(features) if self.relu else features)
        return result
