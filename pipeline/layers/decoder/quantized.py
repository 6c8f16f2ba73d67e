"""The 16-bit output: decoder with the residual quantization block (FQSS paper, section III-C), or a plain 8-bit output.

A mono waveform is [B, T], one of A channels [B, A, T].
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export_specs.foundation.errors import UserError
from pipeline.layers.decoder.float import Decoder, FrameDecoder, overlap_add
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer

HIGH_SCALE = 1 / 128
CORRECTION_SCALE = HIGH_SCALE / 256
FloatDecoder = Decoder | FrameDecoder


class QuantizedDecoder(QuantizedLayer):
    """Base of the decoders: masked features [B, F, N] to a waveform, one call a source, all weights shared over the sources."""

    def __init__(self, layer: FloatDecoder) -> None:
        super().__init__()
        filters = layer.filters.detach()  # [N, A, K]
        self.weight = nn.Parameter(filters.permute(2, 1, 0).contiguous())  # [K, A, N]: one row a tap
        self.audio_channels, self.kernel_size = filters.shape[1:]
        self.stride = layer.stride
        self.weight_quantizer = WeightQuantizer(self.rows().detach())

    def rows(self) -> Tensor:
        """The weight with one row for each scale, that is for each audio channel: [A, K * N]."""
        return self.weight.transpose(0, 1).reshape(self.audio_channels, -1)

    def synthesis(self) -> Tensor:
        """Quantized D as a matrix [A * K, N]."""
        quantized: Tensor = self.weight_quantizer(self.rows())
        return quantized.view(self.audio_channels * self.kernel_size, -1)

    def synthesise(self, features: Tensor, synthesis: Tensor) -> Tensor:
        """The waveform of features."""
        frames = functional.linear(features, synthesis).unflatten(-1, (self.audio_channels, -1)).transpose(1, 2)  # [B, A, F, K]
        waveforms = overlap_add(frames.flatten(0, 1), self.stride)  # [B * A, T]
        return waveforms if self.audio_channels == 1 else waveforms.unflatten(0, (-1, self.audio_channels))


class ReconstructingDecoder(QuantizedDecoder):
    """Masked features Y [B, F, N] to a 16-bit waveform.

    X = Q(D(Y)); U = Q(Y - Q(E~(X))); delta = Q(D~(U)); output X + delta, where X has the step 1/128 and delta 2^-8 of it,
    so that the int16 code is 256 * high + correction. D~ is D: it turns what X left over of Y into samples. E~ starts as
    the least-squares inverse of D, so that delta starts as the rounding error of X.
    """

    def __init__(self, layer: FloatDecoder) -> None:
        super().__init__(layer)
        self.analysis = nn.Parameter(least_squares_inverse(layer.filters.detach(), layer.stride))  # E~: [N, A, K]
        self.analysis_quantizer = WeightQuantizer(self.analysis)
        self.output_quantizer = nn.Identity()
        self.high_quantizer = FixedQuantizer(HIGH_SCALE)
        self.reanalysis_quantizer = ActivationQuantizer()
        self.residue_quantizer = ActivationQuantizer()
        self.correction_quantizer = FixedQuantizer(CORRECTION_SCALE)

    def scale_output(self, factor: float) -> None:
        """Multiply the waveform by ``factor``: codes of weights stay, their scales change; E~ undoes D, so it changes the other way."""
        _multiply(factor, self.weight, self.weight_quantizer.range)
        _multiply(1 / factor, self.analysis, self.analysis_quantizer.range)

    def forward(self, features: Tensor) -> Tensor:
        synthesis = self.synthesis()
        high = self.high_quantizer(self.synthesise(features, synthesis))
        channels = high.view(len(features), self.audio_channels, -1)
        frames = channels.unfold(-1, self.kernel_size, self.stride).transpose(1, 2).flatten(2)  # [B, F, A * K]
        reanalysed = self.reanalysis_quantizer(functional.linear(frames, self.analysis_quantizer(self.analysis).flatten(1)))
        residue = self.residue_quantizer(features - reanalysed)
        correction = self.synthesise(residue, synthesis)
        if self.correction_quantizer.observing:
            return cast(Tensor, high)
        return cast(Tensor, high + self.correction_quantizer(correction)).clamp(-1, 32767 / 32768)


class ByteDecoder(QuantizedDecoder):
    """Decoder with an 8-bit output: the baseline without the reconstructor."""

    def scale_output(self, factor: float) -> None:
        """Multiply the waveform by ``factor``: all codes stay, the scales of the weights and of the output change."""
        assert isinstance(self.output_quantizer, ActivationQuantizer)
        _multiply(factor, self.weight, self.weight_quantizer.range, self.output_quantizer.minimum, self.output_quantizer.maximum)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.output_quantizer(self.synthesise(features, self.synthesis()))
        return result


def _multiply(factor: float, *parameters: nn.Parameter) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter.mul_(factor)


def least_squares_inverse(filters: Tensor, stride: int) -> Tensor:
    """Analysis filters [N, A, K] that the synthesis ``filters`` [N, A, K] with that stride undo best, in least squares.

    Synthesis of the analysis of a unit impulse at every phase of the stride, in each audio channel, shall give the impulse back.
    The system is underdetermined; the minimum-norm solution keeps Y - E~(X) small.

    Raises:
        UserError: all filters are zero.
    """
    if not filters.any():
        raise UserError("the network gives nothing but zeros: these are no weights of a trained network")
    count, channels, kernel = filters.shape
    lags = range(-(kernel // stride + 1), kernel // stride + 2)
    rows, wanted = [], []
    # output sample p of channel a gets sum over frames j, features n of filters[n, a, p - j s] * analysis[n, b, q - j s] from input
    # sample q of channel b; the system is the same for all b, which only what is wanted depends on
    for channel in range(channels):
        for phase in range(stride):
            for source in range(phase - kernel + 1, phase + kernel):
                row = torch.zeros(count, kernel, dtype=torch.float64)
                for frame in lags:
                    tap_out, tap_in = phase - frame * stride, source - frame * stride
                    if 0 <= tap_out < kernel and 0 <= tap_in < kernel:
                        row[:, tap_in] += filters[:, channel, tap_out].double()
                rows.append(row.flatten())
                wanted.append([1.0 if source == phase and other == channel else 0.0 for other in range(channels)])
    system = torch.stack(rows)
    gram = system @ system.T
    damping = 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    multipliers = torch.linalg.solve(gram + damping, torch.tensor(wanted, dtype=torch.float64))  # [rows, A]
    solutions = [(system.T @ multipliers[:, channel].contiguous()).view(count, kernel) for channel in range(channels)]
    return torch.stack(solutions, dim=1).float()
