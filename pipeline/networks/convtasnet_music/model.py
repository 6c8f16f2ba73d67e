"""Conv-TasNet without a skip path and without biases: stereo for music as version 2 of Demucs has it (Défossez et al. 2019), or of one
channel as the implementation of kaituoxu has it, from which that one comes.

Module names follow both, so that its checkpoints load by key. Tensors are channels-last: [B, F, C].
"""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.layers.add import Add
from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.decoder.float import FrameDecoder, MonoFrameDecoder
from pipeline.layers.depthwise import Depthwise
from pipeline.layers.encoder.float import MonoEncoder, RectifiedEncoder
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.multiply import Multiply
from pipeline.layers.named import named
from pipeline.layers.pointwise import Pointwise
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.sources import SelectSource, StackSources
from pipeline.networks.convtasnet_music.spec import ConvTasNetMusicSpec
from pipeline.networks.network import Network


class TemporalBlock(nn.Module):
    """One block of the temporal network with its residual sum: x [B, F, B_c] to the same shape."""

    def __init__(self, bn_chan: int, hid_chan: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        depthwise = named(
            net=nn.Sequential(
                Depthwise(hid_chan, kernel_size, dilation, causal=False, bias=False),
                Prelu(),
                GlobalLayerNorm(hid_chan),
                Pointwise(hid_chan, bn_chan, bias=False),
            )
        )
        self.net = nn.Sequential(Pointwise(bn_chan, hid_chan, bias=False), Prelu(), GlobalLayerNorm(hid_chan), depthwise)
        self.residual_add = Add()

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.residual_add(x, self.net(x))
        return total


class ConvTasNetMusic(Network):
    """Mixture [B, A, T] to sources [B, S, A, T], without A where it is 1; 1.0 is full scale.

    T must be kernel_size + a multiple of stride.
    """

    def __init__(self, net: ConvTasNetMusicSpec, n_src: int) -> None:
        super().__init__()
        repeats = (
            nn.Sequential(*(TemporalBlock(net.bn_chan, net.hid_chan, net.conv_kernel_size, 2**index) for index in range(net.n_blocks)))
            for _ in range(net.n_repeats)
        )
        sizes = (net.n_filters, net.kernel_size, net.stride)
        mono = net.audio_channels == 1
        self.encoder = named(conv1d_U=MonoEncoder(*sizes) if mono else RectifiedEncoder(net.audio_channels, *sizes))
        self.separator = named(
            network=nn.Sequential(
                ChannelLayerNorm(net.n_filters),
                Pointwise(net.n_filters, net.bn_chan, bias=False),
                nn.Sequential(*repeats),
                Pointwise(net.bn_chan, n_src * net.n_filters, bias=False, activation="relu"),
            )
        )
        self.select = nn.ModuleList(SelectSource(source, net.n_filters) for source in range(n_src))
        self.mask_product = Multiply()
        decoder = MonoFrameDecoder(*sizes) if mono else FrameDecoder(net.n_filters, net.audio_channels, net.kernel_size, net.stride)
        self.decoder = named(basis_signals=decoder)
        self.stack = StackSources()
        self.audio_channels = net.audio_channels

    def forward(self, mixture: Tensor) -> Tensor:
        features = self.encoder(mixture)
        masks = self.separator(features)
        sources: Tensor = self.stack(*[self.decoder(self.mask_product(select(masks), features)) for select in self.select])
        return sources


NETWORK = ConvTasNetMusic
