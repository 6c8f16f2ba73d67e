"""The transformer of HTDemucs: two sequences that attend to themselves and to each other in turn (Rouard, Massa and Défossez 2023)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.layers.accounting import Macs
from pipeline.layers.add import Add
from pipeline.layers.attention.float import Attention, CrossAttention
from pipeline.layers.bins import JoinBins, SplitBins
from pipeline.layers.channel_norm.float import LayerNorm
from pipeline.layers.global_norm.float import GroupNorm
from pipeline.layers.pointwise import Linear
from pipeline.layers.tables.float import BinPositions, LinePositions, TimePositions
from pipeline.networks.htdemucs.spec import HtDemucsSpec


class LayerScale(nn.Module):
    """A learned factor for each channel [..., C], small at first (Touvron et al. 2021)."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x

    def fold_into(self, linear: Linear) -> None:
        """Put the factors into the matrix before, in place, which is told of them."""
        with torch.no_grad():
            linear.weight.mul_(self.scale[:, None])
            linear.bias.mul_(self.scale)
        linear.tell_gain(self.scale)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """The paper counts an element as one."""
        return Macs(output.numel(), 0)


class SelfLayer(nn.Module):
    """Self-attention and feed-forward network, each after a norm; [B, L, C] to the same."""

    def __init__(self, channels: int, heads: int, ffn_chan: int) -> None:
        super().__init__()
        self.self_attn: Attention | CrossAttention = Attention(channels, heads)
        self.linear1, self.linear2 = Linear(channels, ffn_chan, activation="gelu"), Linear(ffn_chan, channels)
        self.norm1, self.norm2, self.norm_out = LayerNorm(channels), LayerNorm(channels), GroupNorm(channels)
        self.gamma_1: nn.Module = LayerScale(channels, 1e-4)
        self.gamma_2: nn.Module = LayerScale(channels, 1e-4)
        self.attention_add, self.ffn_add = Add(), Add()

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_add(x, self.gamma_1(self.self_attn(self.norm1(x))))
        result: Tensor = self.norm_out(self.ffn_add(x, self.gamma_2(self.linear2(self.linear1(self.norm2(x))))))
        return result

    def plain(self) -> SelfLayer:
        """Itself, with an attention of plain layers and without LayerScales."""
        self.self_attn = _without_scales(self, self.self_attn)
        return self


class CrossLayer(nn.Module):
    """Attention to another sequence and feed-forward network: [B, L, C] and [B, M, C] to [B, L, C]."""

    def __init__(self, channels: int, heads: int, ffn_chan: int) -> None:
        super().__init__()
        self.cross_attn: Attention | CrossAttention = Attention(channels, heads)
        self.linear1, self.linear2 = Linear(channels, ffn_chan, activation="gelu"), Linear(ffn_chan, channels)
        self.norm1, self.norm2, self.norm3 = LayerNorm(channels), LayerNorm(channels), LayerNorm(channels)
        self.norm_out = GroupNorm(channels)
        self.gamma_1: nn.Module = LayerScale(channels, 1e-4)
        self.gamma_2: nn.Module = LayerScale(channels, 1e-4)
        self.attention_add, self.ffn_add = Add(), Add()

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        x = self.attention_add(x, self.gamma_1(self.cross_attn(self.norm1(x), self.norm2(other))))
        result: Tensor = self.norm_out(self.ffn_add(x, self.gamma_2(self.linear2(self.linear1(self.norm3(x))))))
        return result

    def plain(self) -> CrossLayer:
        """Itself, with an attention of plain layers and without LayerScales."""
        self.cross_attn = _without_scales(self, self.cross_attn)
        return self


def _without_scales(layer: SelfLayer | CrossLayer, attention: Attention | CrossAttention) -> CrossAttention:
    """Put the LayerScales of attention and feed-forward network into the matrices before them; the attention by plain layers."""
    assert isinstance(attention, Attention) and isinstance(layer.gamma_1, LayerScale) and isinstance(layer.gamma_2, LayerScale)
    layer.gamma_1.fold_into(attention.out_proj)
    layer.gamma_2.fold_into(layer.linear2)
    layer.gamma_1 = layer.gamma_2 = nn.Identity()
    return CrossAttention(attention)


class CrossTransformer(nn.Module):
    """Spectrogram [B, Fr, T, C] of ``bins`` frequencies and waveform [B, L, C] to the same; the layers are self, cross, self, ...

    A spectrogram is one sequence of frequencies one after the other; the demucs package takes frames one after the other, which makes no
    difference but for the order.
    """

    def __init__(self, net: HtDemucsSpec, bins: int) -> None:
        super().__init__()
        channels = net.bottom_channels
        self.norm_in, self.norm_in_t = LayerNorm(channels), LayerNorm(channels)
        kinds = [CrossLayer if index % 2 else SelfLayer for index in range(net.t_layers)]
        ffn_chan = int(channels * net.t_hidden_scale)
        self.layers, self.layers_t = (nn.ModuleList(kind(channels, net.t_heads, ffn_chan) for kind in kinds) for _ in range(2))
        self.bin_positions, self.time_positions = BinPositions(channels), TimePositions(channels)
        self.positions_t = LinePositions(channels)
        self.join, self.split = JoinBins(), SplitBins(bins)

    def forward(self, spectrogram: Tensor, waveform: Tensor) -> tuple[Tensor, Tensor]:
        x = self.join(self.time_positions(self.bin_positions(self.norm_in(spectrogram))))
        xt = self.positions_t(self.norm_in_t(waveform))
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = (layer(x, xt), layer_t(xt, x)) if isinstance(layer, CrossLayer) else (layer(x), layer_t(xt))
        return self.split(x), xt
