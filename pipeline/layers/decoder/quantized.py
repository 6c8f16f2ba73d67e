"""The 16-bit output: decoder with the residual quantization block (FQSS paper, section III-C), a plain 8-bit output, or for studies
one of 16 bits in one piece.

A mono waveform is [B, T], one of A channels [B, A, T].
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export_specs.foundation.errors import UserError
from pipeline.layers.decoder.float import Decoder, FrameDecoder, overlap_add
from pipeline.layers.quantized_layer import QuantizedLayer, Quantizer
from pipeline.quantization.grid import (
    ActivationQuantizer,
    CorrectionQuantizer,
    FixedQuantizer,
    WeightQuantizer,
    WholeStepsQuantizer,
    straight_through,
)

HIGH_SCALE = 1 / 128
FloatDecoder = Decoder | FrameDecoder


class QuantizedDecoder(QuantizedLayer):
    """Base of the decoders: masked features [B, F, N] to a waveform, one call a source, all weights shared over the sources."""

    def __init__(self, layer: FloatDecoder) -> None:
        super().__init__()
        filters = layer.filters.detach()  # [N, A, K]
        if not filters.any():
            raise UserError("the network gives nothing but zeros: these are no weights of a trained network")
        self.weight = nn.Parameter(filters.permute(2, 1, 0).contiguous())  # [K, A, N]: one row a tap
        self.audio_channels, self.kernel_size = filters.shape[1:]
        self.stride = layer.stride
        self.weight_quantizer = WeightQuantizer(self.rows().detach())

    def rows(self) -> Tensor:
        """The weight with one row for each scale, that is for each audio channel: [A, K * N]."""
        return self.weight.transpose(0, 1).reshape(self.audio_channels, -1)

    def synthesise(self, features: Tensor, rows: Tensor) -> Tensor:
        """The waveform of features by weights [A, K * N]."""
        synthesis = rows.view(self.audio_channels * self.kernel_size, -1)
        frames = functional.linear(features, synthesis).unflatten(-1, (self.audio_channels, -1)).transpose(1, 2)  # [B, A, F, K]
        waveforms = overlap_add(frames.flatten(0, 1), self.stride)  # [B * A, T]
        return waveforms if self.audio_channels == 1 else waveforms.unflatten(0, (-1, self.audio_channels))

    def scale_output(self, factor: float) -> None:
        """Multiply the waveform by ``factor``: weights and their range."""
        _multiply(factor, self.weight, self.weight_quantizer.range)


class ReconstructingDecoder(QuantizedDecoder):
    """Masked features Y [B, F, N] to a 16-bit waveform.

    X = Q(D(Y)) of the step 1/128, delta = Q(D(Y) - X) of 2^-8 of it; the int16 code is 256 * X + delta. The residue D(Y) - X is exact: one
    int32 sum takes Y with D's weights and X with the number of the sum's steps that make one of X (docs/adr/0030-ends-of-16-bits.md).
    """

    def __init__(self, layer: FloatDecoder) -> None:
        super().__init__(layer)
        self.output_quantizer = nn.Identity()
        self.high_quantizer = FixedQuantizer(HIGH_SCALE)
        self.correction_quantizer = CorrectionQuantizer(self.high_quantizer)
        self.weight_quantizer: WholeStepsQuantizer = WholeStepsQuantizer(self.rows().detach(), self.high_quantizer)

    def connect(self, inputs: list[Quantizer]) -> None:
        super().connect(inputs)
        self.weight_quantizer.source = inputs

    def forward(self, features: Tensor) -> Tensor:
        if self.high_quantizer.observing:  # the weights' scale comes of the grid that is being observed
            return self.synthesise(features, self.rows())
        exact = self.synthesise(features, self.weight_quantizer(self.rows()))
        high = self.high_quantizer(exact)
        return cast(Tensor, high + self.correction_quantizer(exact - high)).clamp(-1, 32767 / 32768)


class ByteDecoder(QuantizedDecoder):
    """Decoder with an 8-bit output: the baseline without the reconstructor."""

    def scale_output(self, factor: float) -> None:
        """Multiply the waveform by ``factor``: all codes stay, the scales of the weights and of the output change."""
        super().scale_output(factor)
        assert isinstance(self.output_quantizer, ActivationQuantizer)
        _multiply(factor, self.output_quantizer.minimum, self.output_quantizer.maximum)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(self.synthesise(features, self.weight_quantizer(self.rows())))
        return result


class Int16Decoder(QuantizedDecoder):
    """Decoder with 16 bits in one piece, what a reconstructor is to come near to; simulated alone."""

    def __init__(self, layer: FloatDecoder) -> None:
        super().__init__(layer)
        self.output_quantizer = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        waveform = self.synthesise(features, self.weight_quantizer(self.rows())).clamp(-1, 32767 / 32768)
        return straight_through(torch.round(waveform * 32768) / 32768, waveform)


def _multiply(factor: float, *parameters: nn.Parameter) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter.mul_(factor)
