"""The layers that the networks are made of, float and channels-last: tensors are [B, T, C].

A network calls nothing but layers of this file, so that each one can be replaced by its quantized twin
(``pipeline/quantization``) and written out as one group of ONNX nodes (``pipeline/export``). Parameters keep the shapes
and names of Asteroid's modules, so that its checkpoints load by key.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Encoder(nn.Module):
    """Learned analysis filterbank: waveform [B, T] to features [B, F, N], F = (T - kernel_size) / stride + 1."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int, activation: str) -> None:
        super().__init__()
        self.filterbank = nn.ParameterDict({"_filters": nn.Parameter(torch.empty(n_filters, 1, kernel_size))})
        nn.init.xavier_normal_(self.filterbank["_filters"])
        self.kernel_size, self.stride, self.relu = kernel_size, stride, activation == "relu"

    @property
    def filters(self) -> Tensor:
        """The filters [N, 1, kernel_size]."""
        filters: Tensor = self.filterbank["_filters"]
        return filters

    def forward(self, waveform: Tensor) -> Tensor:
        return self.activate(functional.linear(waveform.unfold(-1, self.kernel_size, self.stride), self.filterbank["_filters"][:, 0]))

    def activate(self, features: Tensor) -> Tensor:
        """The rectifier, where the network has one."""
        return functional.relu(features) if self.relu else features


class Decoder(nn.Module):
    """Learned synthesis filterbank: masked features [B, F, N] to a waveform [B, (F - 1) * stride + kernel_size] by overlap_add."""

    def __init__(self, n_filters: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.filterbank = nn.ParameterDict({"_filters": nn.Parameter(torch.empty(n_filters, 1, kernel_size))})
        nn.init.xavier_normal_(self.filterbank["_filters"])
        self.kernel_size, self.stride = kernel_size, stride

    @property
    def filters(self) -> Tensor:
        """The filters [N, 1, kernel_size]."""
        filters: Tensor = self.filterbank["_filters"]
        return filters

    def forward(self, features: Tensor) -> Tensor:
        return overlap_add(functional.linear(features, self.filterbank["_filters"][:, 0].t()), self.stride)


def overlap_add(frames: Tensor, stride: int) -> Tensor:
    """Sum of frames [B, F, K] placed ``stride`` apart: [B, (F - 1) * stride + K]."""
    count, kernel_size = frames.shape[1], frames.shape[2]
    parts = -(-kernel_size // stride)
    padded = functional.pad(frames, (0, parts * stride - kernel_size))
    total = sum(
        functional.pad(padded[..., part * stride : (part + 1) * stride].flatten(1), (part * stride, (parts - 1 - part) * stride))
        for part in range(parts)
    )
    assert isinstance(total, Tensor)
    return total[:, : (count - 1) * stride + kernel_size]


class Pointwise(nn.Conv1d):
    """1x1 convolution [..., I] to [..., O], with the named activation."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True, activation: str = "linear") -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(functional.linear(x, self.weight[:, :, 0], self.bias), self.activation)


def activate(x: Tensor, activation: str) -> Tensor:
    """The named activation: linear, relu, sigmoid, tanh, gelu, or glu, which halves the channels."""
    match activation:
        case "linear":
            return x
        case "relu":
            return functional.relu(x)
        case "sigmoid":
            return torch.sigmoid(x)
        case "tanh":
            return torch.tanh(x)
        case "gelu":
            return functional.gelu(x)
        case "glu":
            return functional.glu(x)
    raise ValueError(f"no activation '{activation}'")


class Activation(nn.Module):
    """The named activation as a layer of its own, where it follows one that has none inside."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(x, self.activation)


class Depthwise(nn.Conv1d):
    """Dilated depthwise convolution over time [B, T, C]; "same" padding, or all of it before the first frame when causal."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, causal: bool, bias: bool = True) -> None:
        super().__init__(channels, channels, kernel_size, dilation=dilation, groups=channels, bias=bias)
        span = (kernel_size - 1) * dilation
        self.pads = (span, 0) if causal else (span // 2, span - span // 2)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.weight.new_zeros(()) if self.bias is None else self.bias
        return shifted_products(x, self.weight, bias, self.dilation[0], self.pads)


def shifted_products(x: Tensor, weight: Tensor, bias: Tensor, dilation: int, pads: tuple[int, int]) -> Tensor:
    """Depthwise convolution of x [B, T, C] with weight [C, 1, K]: on channels-last data faster than a grouped convolution."""
    weight, frames = weight[:, 0].to(x.dtype), x.shape[1]
    padded = functional.pad(x, (0, 0, *pads))
    total = bias.to(x.dtype)
    for tap in range(weight.shape[1]):
        total = total + padded[:, tap * dilation : tap * dilation + frames] * weight[:, tap]
    return total


def _at_least_float32(x: Tensor) -> Tensor:
    """Squares of half precision overflow or vanish; float64 stays what it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class GlobalLayerNorm(nn.Module):
    """gLN (Luo and Mesgarani 2019, eq. 12-14): statistics over all frames and channels of an example; [B, ..., C]."""

    axes: tuple[int, ...] = (1, 2)

    def __init__(self, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = _at_least_float32(x).flatten(1, -2)
        mean = self.statistic(wide)
        variance = self.statistic(wide.square()) - mean.square()
        return (self.gamma * (wide - mean) * torch.rsqrt(variance.clamp(min=0) + self.eps) + self.beta).to(x.dtype).view(x.shape)

    def statistic(self, x: Tensor) -> Tensor:
        """The mean over ``axes``, one axis after the other and spread over the channels: [B, 1, C] or [B, T, C].

        The compiler reduces two axes at once by transposing them, in both directions, which takes most of a training step.
        """
        for axis in self.axes:
            x = x.mean(axis, keepdim=True)
        return x.expand(-1, -1, len(self.gamma))


class ChannelLayerNorm(GlobalLayerNorm):
    """cLN: statistics over the channels of each frame, for causal networks and for transformers; [B, ..., C]."""

    axes = (2,)


class SequencesNorm(ChannelLayerNorm):
    """gLN of each sequence by itself: statistics over its places and channels; [B, N, L, C]."""

    def forward(self, x: Tensor) -> Tensor:
        wide = _at_least_float32(x).flatten(2)
        variance, mean = torch.var_mean(wide, 2, correction=0, keepdim=True)
        normed = ((wide - mean) * torch.rsqrt(variance + self.eps)).view(x.shape)
        return (self.gamma * normed + self.beta).to(x.dtype)


class Prelu(nn.PReLU):
    """PReLU with one slope for all channels."""


class Add(nn.Module):
    """Residual or skip sum of two tensors of one shape."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Multiply(nn.Module):
    """Mask product."""

    def forward(self, mask: Tensor, features: Tensor) -> Tensor:
        return mask * features


class GateProduct(Multiply):
    """The product of a value and its gate."""


class SelectSource(nn.Module):
    """The mask of one source out of [B, F, S * N]: [B, F, N]."""

    def __init__(self, source: int, channels: int) -> None:
        super().__init__()
        self.start, self.stop = source * channels, (source + 1) * channels

    def forward(self, masks: Tensor) -> Tensor:
        return masks[..., self.start : self.stop]


class StackSources(nn.Module):
    """S waveforms [B, T] or [B, A, T] to [B, S, T] or [B, S, A, T]."""

    def forward(self, *waveforms: Tensor) -> Tensor:
        return torch.stack(waveforms, dim=1)
