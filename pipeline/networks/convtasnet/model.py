"""Conv-TasNet for speech (Luo and Mesgarani 2019), as Asteroid's LibriMix recipe and the FQSS paper have it.

Module names follow Asteroid 0.7, so that its checkpoints load by key. Tensors are channels-last: [B, T, C].
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from pipeline.layers.accounting import Macs
from pipeline.layers.add import Add
from pipeline.layers.carried_features import CarriedFeatures
from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.decoder.float import Decoder
from pipeline.layers.depthwise import Depthwise
from pipeline.layers.encoder.float import Encoder
from pipeline.layers.frozen_norm import FrozenNorm
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.multiply import Multiply
from pipeline.layers.pointwise import Pointwise
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.sources import SelectSource, StackSources
from pipeline.networks.convtasnet.spec import ConvTasNetSpec
from pipeline.networks.network import Network


def norm_class(net: ConvTasNetSpec) -> type[GlobalLayerNorm | FrozenNorm]:
    """The norm that a spec asks for."""
    if net.norm == "frozen":
        return FrozenNorm
    return ChannelLayerNorm if net.causal else GlobalLayerNorm


class ConvBlock(nn.Module):
    """One block of the temporal network: x [B, F, B_c] to (x + residual, skip [B, F, Sc])."""

    def __init__(self, net: ConvTasNetSpec, dilation: int, causal: bool, last: bool) -> None:
        super().__init__()
        norm = norm_class(net)
        self.shared_block = nn.Sequential(
            Pointwise(net.bn_chan, net.hid_chan),
            Prelu(),
            norm(net.hid_chan),
            Depthwise(net.hid_chan, net.conv_kernel_size, dilation, causal),
            Prelu(),
            norm(net.hid_chan),
        )
        self.res_conv = Pointwise(net.hid_chan, net.bn_chan)
        self.skip_conv = Pointwise(net.hid_chan, net.skip_chan)
        self.residual_add = Add()
        self.last = last
        if last:  # the published networks carry these weights, but nothing uses their result
            self.res_conv.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.shared_block(x)
        skip = self.skip_conv(shared)
        return (x if self.last else self.residual_add(x, self.res_conv(shared))), skip

    def macs(self, inputs: tuple[Any, ...], output: Any) -> Macs:
        """Of the last block the paper counts the residual convolution, though nothing uses its result."""
        return Macs(inputs[0].numel() * self.res_conv.in_channels if self.last else 0, 0)


class Masker(nn.Module):
    """Features [B, F, N] to masks [B, F, S * N]."""

    def __init__(self, net: ConvTasNetSpec, n_src: int) -> None:
        super().__init__()
        self.bottleneck = nn.Sequential(norm_class(net)(net.n_filters), Pointwise(net.n_filters, net.bn_chan))
        count = net.n_repeats * net.n_blocks
        self.TCN = nn.ModuleList(
            ConvBlock(net, 2 ** (index % net.n_blocks), net.causal and index >= net.lookahead_blocks, index == count - 1)
            for index in range(count)
        )
        self.skip_add = nn.ModuleList(Add() for _ in range(count - 1))
        self.mask_net = nn.Sequential(Prelu(), Pointwise(net.skip_chan, n_src * net.n_filters, activation=net.mask_act))

    def forward(self, features: Tensor) -> Tensor:
        x = self.bottleneck(features)
        skip_sum: Tensor | None = None
        for index, block in enumerate(self.TCN):
            x, skip = block(x)
            skip_sum = skip if skip_sum is None else self.skip_add[index - 1](skip_sum, skip)
        masks: Tensor = self.mask_net(skip_sum)
        return masks


class ConvTasNet(Network):
    """Mixture [B, T] to sources [B, S, T]; 1.0 is full scale. T must be kernel_size + a multiple of stride."""

    def __init__(self, net: ConvTasNetSpec, n_src: int) -> None:
        super().__init__()
        self.encoder = Encoder(net.n_filters, net.kernel_size, net.stride, net.encoder_act)
        self.masker = Masker(net, n_src)
        self.select = nn.ModuleList(SelectSource(source, net.n_filters) for source in range(n_src))
        self.carried = CarriedFeatures(net.n_filters)
        self.mask_product = Multiply()
        self.decoder = Decoder(net.n_filters, net.kernel_size, net.stride)
        self.stack = StackSources()

    def gather_biases(self) -> None:
        """Move the biases of residual and skip convolutions to where their streams are read: the same function, fewer constants.

        Both streams are sums up to the next 1x1 convolution (residual) and to the first skip tensor.
        """
        blocks = [cast(ConvBlock, block) for block in self.masker.TCN]
        first_skip = cast(Tensor, blocks[0].skip_conv.bias)
        carried = torch.zeros(blocks[0].res_conv.out_channels)
        with torch.no_grad():
            for block in blocks:
                expand = cast(Pointwise, block.shared_block[0])
                cast(Tensor, expand.bias).add_(expand.weight[:, :, 0] @ carried)
                if block is not blocks[0]:
                    first_skip.add_(cast(Tensor, block.skip_conv.bias))
                    block.skip_conv.bias = None
                carried += cast(Tensor, block.res_conv.bias)
                block.res_conv.bias = None

    def forward(self, mixture: Tensor) -> Tensor:
        features = self.encoder(mixture)
        masks, carried = self.masker(features), self.carried(mixture, features)
        sources: Tensor = self.stack(*[self.decoder(self.mask_product(select(masks), carried)) for select in self.select])
        return sources


NETWORK = ConvTasNet
