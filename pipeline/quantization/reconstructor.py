"""The 16-bit output: decoder with the residual quantization block (FQSS paper, section III-C), or a plain 8-bit output."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export_specs.errors import UserError
from pipeline.models import layers as float_layers
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer
from pipeline.quantization.layers import QuantizedLayer

HIGH_SCALE = 1 / 128
CORRECTION_SCALE = HIGH_SCALE / 256


class ReconstructingDecoder(QuantizedLayer):
    """Masked features Y [B, F, N] to a 16-bit waveform [B, T], one call a source, all weights shared over the sources.

    X = Q(D(Y)); U = Q(Y - Q(E~(X))); delta = Q(D~(U)); output X + delta, where X has the step 1/128 and delta 2^-8 of it,
    so that the int16 code is 256 * high + correction. D~ is D: it turns what X left over of Y into samples. E~ starts as
    the least-squares inverse of D, so that delta starts as the rounding error of X.
    """

    def __init__(self, layer: float_layers.Decoder) -> None:
        super().__init__()
        filters = layer.filterbank["_filters"].detach()  # [N, 1, K]
        self.weight = nn.Parameter(filters[:, 0].t().unsqueeze(1).contiguous())  # [K, 1, N]: one row a tap
        self.kernel_size, self.stride = layer.kernel_size, layer.stride
        # one scale for all: the decoder has a single output channel
        self.weight_quantizer = WeightQuantizer(self.weight.detach().reshape(1, -1))
        self.analysis = nn.Parameter(_inverse(filters[:, 0], layer.stride))  # E~: [N, 1, K]
        self.analysis_quantizer = WeightQuantizer(self.analysis)
        self.output_quantizer = nn.Identity()
        self.high_quantizer = FixedQuantizer(HIGH_SCALE)
        self.reanalysis_quantizer = ActivationQuantizer()
        self.residue_quantizer = ActivationQuantizer()
        self.correction_quantizer = FixedQuantizer(CORRECTION_SCALE)

    def synthesis(self) -> Tensor:
        """Quantized D as a matrix [K, N]."""
        return _matrix(self)

    def scale_output(self, factor: float) -> None:
        """Multiply the waveform by ``factor``: codes of weights stay, their scales change; E~ undoes D, so it changes the other way."""
        _multiply(factor, self.weight, self.weight_quantizer.range)
        _multiply(1 / factor, self.analysis, self.analysis_quantizer.range)

    def forward(self, features: Tensor) -> Tensor:
        synthesis = self.synthesis()
        high = self.high_quantizer(float_layers.overlap_add(functional.linear(features, synthesis), self.stride))
        frames = high.unfold(-1, self.kernel_size, self.stride)
        reanalysed = self.reanalysis_quantizer(functional.linear(frames, self.analysis_quantizer(self.analysis)[:, 0]))
        residue = self.residue_quantizer(features - reanalysed)
        correction = float_layers.overlap_add(functional.linear(residue, synthesis), self.stride)
        if self.correction_quantizer.observing:
            return cast(Tensor, high)
        return cast(Tensor, high + self.correction_quantizer(correction)).clamp(-1, 32767 / 32768)


class ByteDecoder(QuantizedLayer):
    """Decoder with an 8-bit output: the baseline without the reconstructor."""

    def __init__(self, layer: float_layers.Decoder) -> None:
        super().__init__()
        filters = layer.filterbank["_filters"].detach()
        self.weight = nn.Parameter(filters[:, 0].t().unsqueeze(1).contiguous())
        self.kernel_size, self.stride = layer.kernel_size, layer.stride
        self.weight_quantizer = WeightQuantizer(self.weight.detach().reshape(1, -1))

    def synthesis(self) -> Tensor:
        """Quantized D as a matrix [K, N]."""
        return _matrix(self)

    def scale_output(self, factor: float) -> None:
        """Multiply the waveform by ``factor``: all codes stay, the scales of the weights and of the output change."""
        assert isinstance(self.output_quantizer, ActivationQuantizer)
        _multiply(factor, self.weight, self.weight_quantizer.range, self.output_quantizer.minimum, self.output_quantizer.maximum)

    def forward(self, features: Tensor) -> Tensor:
        waveform = float_layers.overlap_add(functional.linear(features, self.synthesis()), self.stride)
        result: Tensor = self.output_quantizer(waveform)
        return result


def _multiply(factor: float, *parameters: nn.Parameter) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter.mul_(factor)


def _matrix(decoder: ReconstructingDecoder | ByteDecoder) -> Tensor:
    quantized: Tensor = decoder.weight_quantizer(decoder.weight.reshape(1, -1))
    return quantized.view(decoder.kernel_size, -1)


def _inverse(filters: Tensor, stride: int) -> Tensor:
    """Analysis filters [N, 1, K] that the synthesis ``filters`` [N, K] with that stride undo best, in least squares.

    Synthesis of the analysis of a unit impulse at every phase of the stride shall give the impulse back. The system is
    underdetermined; the minimum-norm solution keeps Y - E~(X) small.

    Raises:
        UserError: all filters are zero.
    """
    if not filters.any():
        raise UserError("the network gives nothing but zeros: these are no weights of a trained network")
    count, kernel = filters.shape
    lags = range(-(kernel // stride + 1), kernel // stride + 2)
    rows, wanted = [], []
    # output sample p of the frame grid gets sum over frames j, channels n of filters[n, p - j s] * analysis[n, q - j s] from input sample q
    for phase in range(stride):
        for source in range(phase - kernel + 1, phase + kernel):
            row = torch.zeros(count, kernel, dtype=torch.float64)
            for frame in lags:
                tap_out, tap_in = phase - frame * stride, source - frame * stride
                if 0 <= tap_out < kernel and 0 <= tap_in < kernel:
                    row[:, tap_in] += filters[:, tap_out].double()
            rows.append(row.flatten())
            wanted.append(1.0 if source == phase else 0.0)
    system = torch.stack(rows)
    gram = system @ system.T
    damping = 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solution = system.T @ torch.linalg.solve(gram + damping, torch.tensor(wanted, dtype=torch.float64))
    return cast(Tensor, solution).view(count, 1, kernel).float()
