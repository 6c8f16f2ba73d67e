"""The 16-bit inputs and outputs of a network of two branches: splitter and reconstructor (FQSS paper, sections III-B and III-C).

A branch works in deviations of its standardised input, which has no fixed full scale: what int16 full scale stands for is observed for the
inputs and learned for the outputs, and stands in the file's metadata. A spectrogram is [B, Fr, T, C], a waveform [B, T, C].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.layers.branch_ends.float import FirstSpectrumConv, FirstTimeConv, LastSpectrumUpsampling, LastTimeUpsampling
from pipeline.layers.convolution.quantized import Convolution, Upsampling
from pipeline.layers.decoder.quantized import least_squares_inverse
from pipeline.layers.encoder.quantized import split
from pipeline.layers.quantized_layer import quantized_bias
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer, SymmetricQuantizer, WeightQuantizer, straight_through

BYTE = 256
FirstConv = FirstTimeConv | FirstSpectrumConv
LastUpsampling = LastTimeUpsampling | LastSpectrumUpsampling


class InputConvolution(Convolution):
    """Base of the first layers. ``input_range`` holds the high byte's grid; int16 full scale is 128 of its steps."""

    def __init__(self, layer: FirstConv) -> None:
        super().__init__(layer)
        self.input_range = SymmetricQuantizer()
        for parameter in self.input_range.parameters():
            parameter.requires_grad_(False)

    def codes(self, x: Tensor, scale: Tensor) -> Tensor:
        """The int8 codes of x, times ``scale``."""
        code = torch.round(x / scale * BYTE).clamp(-32768, 32767)
        return torch.floor((code + BYTE // 2) / BYTE).clamp(QMIN, QMAX) * scale

    def float_bias(self, scale: Tensor) -> Tensor:
        """The bias that is added to the products of the codes."""
        assert self.bias is not None
        return self.bias

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_quantizer(self.weight)
        if self.input_range.observing:
            self.input_range(x)
            y = self.convolve(x, self.weight[:, : x.shape[-1]], self.bias)
        else:
            scale = self.input_range.grid()[0]
            y = self.convolve(self.codes(x, scale), weight, quantized_bias(self.float_bias(scale), scale, self.weight_quantizer.scale()))
        result: Tensor = self.output_quantizer(y)
        return result


class ByteConvolution(InputConvolution):
    """On an input rounded to 8 bits: the baseline without the splitter."""


class SplitConvolution(InputConvolution):
    """On the two bytes of each value, the high bytes of all channels before the low ones; the low ones' weights start at 0 (ADR 0006)."""

    def __init__(self, layer: FirstConv) -> None:
        super().__init__(layer)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), torch.zeros_like(self.weight)], dim=1))

    def codes(self, x: Tensor, scale: Tensor) -> Tensor:
        saturated = (x / scale / 128).clamp(-1, 32767 / 32768)
        return torch.cat(split(saturated), dim=-1) * (128 * scale)

    def float_bias(self, scale: Tensor) -> Tensor:
        """With what makes up for the floor of the split, half a step of the high byte on average."""
        high = self.weight[:, : self.weight.shape[1] // 2]
        return super().float_bias(scale) + high.sum((1, 2, 3)) * scale / 2


class ByteUpsampling(Upsampling):
    """The last layer with an 8-bit output: the baseline without the reconstructor."""

    def __init__(self, layer: LastUpsampling) -> None:
        super().__init__(layer)
        self.high_quantizer = SymmetricQuantizer()
        self.output_quantizer = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        high: Tensor = self.high_quantizer(super().forward(x))
        return high


class ReconstructingUpsampling(ByteUpsampling):
    """X = Q(D(Y)); U = Q(Y - Q(E~(X))); delta = Q(D~(U)); the output is X + delta, and delta's step 1/256 of that of X.

    All output channels, whatever their source, share one block. D~ is D without its bias for the waveform, and weights and a bias of its
    own, which start as those, for the spectrogram. E~ starts as an inverse of D, so that delta starts as what X has lost.
    """

    def __init__(self, layer: LastUpsampling) -> None:
        super().__init__(layer)
        filters = self.weight.detach().transpose(0, 1)  # [I, O, k]
        self.analysis = nn.Parameter(_analysis_of(filters, self.stride))
        assert layer.bias is not None
        self.analysis_bias = nn.Parameter(-(self.analysis.detach().sum(2) @ layer.bias.detach()))
        self.analysis_quantizer = WeightQuantizer(self.analysis)
        self.reanalysis_quantizer, self.residue_quantizer = ActivationQuantizer(), ActivationQuantizer()
        self.correction_weight: nn.Parameter | None = None
        if isinstance(layer, LastSpectrumUpsampling):
            self.correction_weight = nn.Parameter(self.weight.detach().clone())
            self.correction_bias = nn.Parameter(torch.zeros(len(self.weight)))
            self.correction_weight_quantizer = WeightQuantizer(self.correction_weight)

    def forward(self, x: Tensor) -> Tensor:
        high = super().forward(x)
        scale = self.high_quantizer.grid()[0]
        bias = quantized_bias(self.analysis_bias, scale, self.analysis_quantizer.scale())
        reanalysed = self.reanalysis_quantizer(self._analyse(high, self.analysis_quantizer(self.analysis), bias))
        residue = self.residue_quantizer(x - reanalysed)
        if self.high_quantizer.observing:
            return high
        if self.correction_weight is None:
            correction = self.upsample(residue, self.weight_quantizer(self.weight), None)
        else:
            own_bias = quantized_bias(self.correction_bias, self.residue_quantizer.grid()[0], self.correction_weight_quantizer.scale())
            correction = self.upsample(residue, self.correction_weight_quantizer(self.correction_weight), own_bias)
        step = scale / BYTE
        clipped = correction.clamp(QMIN * step, QMAX * step)
        total = high + straight_through(torch.round(clipped / step) * step, clipped)
        return total.clamp(-32768 * step, 32767 * step)

    def _analyse(self, waveform: Tensor, analysis: Tensor, bias: Tensor) -> Tensor:
        """E~ [I, O, k] over frequency or time, channels last in and out."""
        rows = waveform.movedim(1, 2).flatten(0, 1) if waveform.dim() == 4 else waveform
        y = nn.functional.conv1d(rows.transpose(1, 2), analysis, bias, self.stride).transpose(1, 2)
        return y.unflatten(0, (len(waveform), -1)).movedim(1, 2) if waveform.dim() == 4 else y


def _analysis_of(filters: Tensor, stride: int) -> Tensor:
    """Analysis filters [I, O, k] for which D(E~(D(y))) is nearest to D(y), D having ``filters`` [I, O, k].

    With more features than outputs a frame D(E~(x)) can be x; with fewer, as HTDemucs has, E~(D(y)) can be y, over the three frames that
    share samples with a window.
    """
    features, outputs, kernel = filters.shape
    if features >= outputs * stride:
        return least_squares_inverse(filters, stride)
    wide = nn.functional.pad(filters.double(), (stride, stride))
    windows = [wide[:, :, start : start + kernel].flatten(1) for start in (0, stride, 2 * stride)]  # frames before, at and after
    system = torch.cat(windows)  # [3 I, O k]
    wanted = torch.zeros(3 * features, features, dtype=torch.float64)
    wanted[features : 2 * features] = torch.eye(features)
    gram = system.T @ system
    damping = 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solution = torch.linalg.solve(gram + damping, system.T @ wanted)  # [O k, I]
    analysis: Tensor = solution.T.reshape(filters.shape).float()
    return analysis
