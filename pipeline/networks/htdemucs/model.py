"""HTDemucs for music (Rouard, Massa and Défossez 2023): a spectrogram and a waveform branch with a transformer between.

Module names follow the demucs package, version 4, so that its checkpoints load by key. Tensors are channels-last: spectrograms
[B, Fr, T, C], waveforms [B, T, C].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.layers.activation import Activation
from pipeline.layers.add import Add
from pipeline.layers.branch_ends.float import FirstSpectrumConv, FirstTimeConv, LastSpectrumUpsampling, LastTimeUpsampling
from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling, linear_part
from pipeline.layers.depthwise import Depthwise
from pipeline.layers.gated import Gated
from pipeline.layers.global_norm.float import GroupNorm
from pipeline.layers.lengths import Crop, PadToStride
from pipeline.layers.named import named
from pipeline.layers.sequence_norm.float import SequenceGroupNorm
from pipeline.layers.sources import SelectSource
from pipeline.layers.tables.float import FrequencyEmbedding
from pipeline.networks.htdemucs.cross_transformer import CrossTransformer, LayerScale
from pipeline.networks.htdemucs.edges import BranchEdges, FloatBranchEdges
from pipeline.networks.htdemucs.spec import HtDemucsSpec
from pipeline.networks.htdemucs.spectrogram import to_spectrogram, to_waveform
from pipeline.networks.network import Network

DCONV_LAYERS, DCONV_COMPRESSION = 2, 8
EPS = 1e-5


class DConvBranch(nn.Sequential):
    """A dilated convolution over time through few channels: [B, T, C] or [B, Fr, T, C] to the same, with norms of each sequence."""

    def __init__(self, channels: int, dilation: int, spectral: bool) -> None:
        hidden, norm = channels // DCONV_COMPRESSION, SequenceGroupNorm if spectral else GroupNorm
        super().__init__(
            TimeConv(channels, hidden, 3, dilation=dilation, padding=dilation),
            norm(hidden),
            Activation("gelu"),
            TimeConv(hidden, 2 * channels, 1),
            norm(2 * channels),
            Activation("glu"),
            LayerScale(channels, 1e-3),
        )

    def plain(self) -> nn.Module:
        """Norms before a GELU or a gate leave gamma and beta to a depthwise convolution of one tap, and so do the LayerScale's factors."""
        conv, norm, _, expand, gate_norm, _, scale = self
        assert isinstance(conv, TimeConv) and isinstance(expand, TimeConv) and isinstance(scale, LayerScale)
        assert isinstance(norm, GroupNorm) and isinstance(gate_norm, GroupNorm)
        channels = len(scale.scale)
        value = Depthwise.affine(scale.scale * gate_norm.weight[:channels], scale.scale * gate_norm.bias[:channels])
        value.tell_gain(scale.scale)
        gate = Depthwise.affine(gate_norm.weight[channels:], gate_norm.bias[channels:])
        return named(
            conv=conv,
            norm=norm.without_affine(),
            affine=Depthwise.affine(norm.weight, norm.bias),
            gelu=Activation("gelu"),
            expand=linear_part(expand),
            expanded_norm=gate_norm.without_affine(),
            gated=Gated(
                named(select=SelectSource(0, channels), affine=value),
                named(select=SelectSource(1, channels), affine=gate),
            ),
        )


class DConv(nn.Module):
    """Residual branches over the time of a waveform [B, T, C], or of each frequency of a spectrogram [B, Fr, T, C]."""

    def __init__(self, channels: int, spectral: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DConvBranch(channels, 2**depth, spectral) for depth in range(DCONV_LAYERS))
        self.add = nn.ModuleList(Add() for _ in range(DCONV_LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        for layer, add in zip(self.layers, self.add, strict=True):
            x = add(x, layer(x))
        return x


class EncoderLayer(nn.Module):
    """Downsampling by ``stride``: a spectrogram over frequency, a waveform (``spectral`` false) over time."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, spectral: bool, first: bool) -> None:
        super().__init__()
        pad = kernel_size // 4
        self.conv: nn.Module
        self.rewrite: nn.Module
        if spectral:
            self.conv = (FirstSpectrumConv if first else SpectrumConv)(in_channels, channels, (kernel_size, 1), stride, (pad, 0), "gelu")
            self.rewrite = SpectrumConv(channels, 2 * channels, (1, 1), 1, (0, 0), "glu")
        else:
            self.conv = (FirstTimeConv if first else TimeConv)(in_channels, channels, kernel_size, stride, padding=pad, activation="gelu")
            self.rewrite = TimeConv(channels, 2 * channels, 1, activation="glu")
        self.pad = nn.Identity() if spectral else PadToStride(stride)
        self.dconv = DConv(channels, spectral)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.rewrite(self.dconv(self.conv(self.pad(x))))
        return result


class DecoderLayer(nn.Module):
    """Upsampling by ``stride``, after the sum with what the encoder of that depth has made, to as many bins or samples as ``like`` has."""

    def __init__(self, channels: int, out_channels: int, kernel_size: int, stride: int, spectral: bool, last: bool) -> None:
        super().__init__()
        self.skip_add = Add()
        self.rewrite: nn.Module
        self.conv_tr: nn.Module
        if spectral:
            self.rewrite = SpectrumConv(channels, 2 * channels, (3, 3), 1, (1, 1), "glu")
            self.conv_tr = (LastSpectrumUpsampling if last else SpectrumUpsampling)(channels, out_channels, (kernel_size, 1), (stride, 1))
        else:
            self.rewrite = TimeConv(channels, 2 * channels, 3, padding=1, activation="glu")
            self.conv_tr = (LastTimeUpsampling if last else TimeUpsampling)(channels, out_channels, kernel_size, stride)
        self.dconv = DConv(channels, spectral)
        self.crop = Crop(kernel_size // 4)
        self.activation = nn.Identity() if last else Activation("gelu")

    def forward(self, x: Tensor, skip: Tensor, like: Tensor) -> Tensor:
        upsampled = self.conv_tr(self.dconv(self.rewrite(self.skip_add(x, skip))))
        result: Tensor = self.activation(self.crop(upsampled, like))
        return result


def standardised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each example with mean 0 and deviation 1, and what they were."""
    axes = tuple(range(1, x.dim()))
    mean, deviation = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    return (x - mean) / (EPS + deviation), mean, deviation


class HTDemucs(Network):
    """Mixture [B, A, T] to sources [B, S, A, T]; 1.0 is full scale.

    What stands outside ``branches`` is float for good: a device's front end computes it (``edge_runtime/spectrogram.py``).
    """

    integer_part = "branches"
    whole_segments = True

    def __init__(self, net: HtDemucsSpec, n_src: int) -> None:
        super().__init__()
        widths = [net.channels * 2**depth for depth in range(net.depth)]
        shape = (net.kernel_size, net.stride)
        self.encoder, self.tencoder, self.decoder, self.tdecoder = (nn.ModuleList() for _ in range(4))
        for depth, width in enumerate(widths):
            for encoders, decoders, parts in ((self.encoder, self.decoder, 2), (self.tencoder, self.tdecoder, 1)):
                spectral, first = parts == 2, parts * net.audio_channels
                encoders.append(EncoderLayer(widths[depth - 1] if depth else first, width, *shape, spectral, first=depth == 0))
                below = widths[depth - 1] if depth else first * n_src
                decoders.insert(0, DecoderLayer(width, below, *shape, spectral, last=depth == 0))
        self.freq_emb = FrequencyEmbedding(net.nfft // 2 // net.stride, net.channels)
        top, bottom = widths[-1], net.bottom_channels
        self.channel_upsampler, self.channel_downsampler = TimeConv(top, bottom, 1), TimeConv(bottom, top, 1)
        self.channel_upsampler_t, self.channel_downsampler_t = TimeConv(top, bottom, 1), TimeConv(bottom, top, 1)
        self.crosstransformer = CrossTransformer(net, net.nfft // 2 // net.stride**net.depth)
        self.n_fft, self.n_src, self.audio_channels = net.nfft, n_src, net.audio_channels

    def forward(self, mixture: Tensor) -> Tensor:
        spectrogram, mean, deviation = standardised(to_spectrogram(mixture, self.n_fft))
        waveform, mean_t, deviation_t = standardised(mixture)
        spectrogram, waveform = self.branches(spectrogram, waveform.transpose(1, 2))
        from_spectrum = to_waveform(spectrogram * deviation + mean, self.n_fft, mixture.shape[-1])
        total = from_spectrum + waveform.transpose(1, 2) * deviation_t + mean_t
        sources: Tensor = total.unflatten(1, (self.n_src, -1))
        return sources

    def input_shapes(self, samples: int) -> dict[str, list[int]]:
        """What the branches take of a segment, channels first: spectrogram [2 A, Fr, F] and waveform [A, T]."""
        spectrogram = [2 * self.audio_channels, self.n_fft // 2, -(-samples // (self.n_fft // 4))]
        return {"spectrogram": spectrogram, "waveform": [self.audio_channels, samples]}

    def example_inputs(self, samples: int) -> list[Tensor]:
        return [torch.empty(1, *shape[1:], shape[0], device="meta") for shape in self.input_shapes(samples).values()]

    def qdq_edges(self, samples: int) -> BranchEdges:
        return BranchEdges(self, self.input_shapes(samples), self.n_fft)

    def float_edges(self, samples: int, sources: int) -> FloatBranchEdges:
        return FloatBranchEdges(self.input_shapes(samples), sources, self.n_fft)

    def branches(self, spectrogram: Tensor, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """What is learned: spectrogram [B, Fr, T, 2 A] and waveform [B, T, A] to [B, Fr, T, S * 2 A] and [B, T, S * A]."""
        skips: list[tuple[Tensor, Tensor]] = []
        inputs: list[tuple[Tensor, Tensor]] = []
        x, xt = spectrogram, waveform
        for depth, (encode, encode_t) in enumerate(zip(self.encoder, self.tencoder, strict=True)):
            inputs.append((x, xt))
            x, xt = encode(x), encode_t(xt)
            x = x if depth else self.freq_emb(x)
            skips.append((x, xt))
        x, xt = self.crosstransformer(self.channel_upsampler(x), self.channel_upsampler_t(xt))
        x, xt = self.channel_downsampler(x), self.channel_downsampler_t(xt)
        for decode, decode_t in zip(self.decoder, self.tdecoder, strict=True):
            (skip, skip_t), (like, like_t) = skips.pop(), inputs.pop()
            x, xt = decode(x, skip, like), decode_t(xt, skip_t, like_t)
        return x, xt


NETWORK = HTDemucs
