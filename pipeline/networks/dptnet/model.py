"""DPTNet for speech (Chen, Mao and Liu 2020), as the FQSS paper has it.

Module names follow its authors' implementation, so that their checkpoints load by key. Tensors are channels-last: features [B, F, C],
chunks of them [B, S, K, C].
"""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.layers.add import Add
from pipeline.layers.attention.float import Attention
from pipeline.layers.channel_norm.float import LayerNorm
from pipeline.layers.chunks.float import MergeChunks, SplitChunks, TransposeChunks
from pipeline.layers.decoder.float import MonoFrameDecoder
from pipeline.layers.encoder.float import MonoEncoder
from pipeline.layers.global_norm.float import GroupNorm
from pipeline.layers.lstm.float import BiLstm
from pipeline.layers.multiply import Multiply
from pipeline.layers.named import named
from pipeline.layers.pointwise import Linear, Pointwise
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.sources import SelectSource, StackSources
from pipeline.networks.dptnet.spec import DptNetSpec
from pipeline.networks.network import Network


class ImprovedTransformer(nn.Module):
    """Self-attention, then an LSTM in place of the feed-forward network, each with a sum and a norm after it: [..., L, C] to the same."""

    def __init__(self, channels: int, heads: int, hid_chan: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads)
        self.lstm = BiLstm(channels, hid_chan, rectified=True)
        self.linear = Linear(2 * hid_chan, channels)
        self.norm1, self.norm2 = LayerNorm(channels), LayerNorm(channels)
        self.add_norm1, self.add_norm2 = Add(), Add()

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.add_norm1(x, self.self_attn(x)))
        result: Tensor = self.norm2(self.add_norm2(x, self.linear(self.lstm(x))))
        return result


class DualPathTransformer(nn.Module):
    """Transformers within (row) and across (col) chunks in turn: chunks [B, S, K, C] to [B, S, K, n_src * C]."""

    def __init__(self, net: DptNetSpec, n_src: int) -> None:
        super().__init__()
        sizes = net.bn_chan, net.n_heads, net.hid_chan
        self.row_transformer = nn.ModuleList(named(transformer=ImprovedTransformer(*sizes)) for _ in range(net.n_repeats))
        self.col_transformer = nn.ModuleList(
            named(to_places=TransposeChunks(), transformer=ImprovedTransformer(*sizes), to_chunks=TransposeChunks())
            for _ in range(net.n_repeats)
        )
        self.output = nn.Sequential(Prelu(), Pointwise(net.bn_chan, n_src * net.bn_chan))

    def forward(self, chunks: Tensor) -> Tensor:
        for row, col in zip(self.row_transformer, self.col_transformer, strict=True):
            chunks = col(row(chunks))
        result: Tensor = self.output(chunks)
        return result


class Separator(nn.Module):
    """Normed features [B, F, N] to gated features [B, F, C] of each source."""

    def __init__(self, net: DptNetSpec, n_src: int) -> None:
        super().__init__()
        self.BN = Pointwise(net.n_filters, net.bn_chan, bias=False)
        self.split = SplitChunks(net.chunk_size)
        self.DPT = DualPathTransformer(net, n_src)
        self.select = nn.ModuleList(SelectSource(source, net.bn_chan) for source in range(n_src))
        self.merge = MergeChunks()
        self.output = nn.Sequential(Pointwise(net.bn_chan, net.bn_chan, activation="tanh"))
        self.output_gate = nn.Sequential(Pointwise(net.bn_chan, net.bn_chan, activation="sigmoid"))
        self.gate_product = Multiply()

    def forward(self, features: Tensor) -> list[Tensor]:
        bottleneck = self.BN(features)
        chunks = self.DPT(self.split(bottleneck))
        merged = [self.merge(select(chunks), bottleneck) for select in self.select]
        return [self.gate_product(self.output(source), self.output_gate(source)) for source in merged]


class DPTNet(Network):
    """Mixture [B, T] to sources [B, S, T]; 1.0 is full scale. T must be kernel_size + a multiple of stride."""

    def __init__(self, net: DptNetSpec, n_src: int) -> None:
        super().__init__()
        self.encoder = named(conv1d_U=MonoEncoder(net.n_filters, net.kernel_size, net.stride))
        self.enc_LN = GroupNorm(net.n_filters, eps=1e-8)
        self.separator = Separator(net, n_src)
        self.mask_conv1x1 = nn.Sequential(Pointwise(net.bn_chan, net.n_filters, bias=False, activation="relu"))
        self.mask_product = Multiply()
        self.decoder = named(basis_signals=MonoFrameDecoder(net.n_filters, net.kernel_size, net.stride))
        self.stack = StackSources()

    def forward(self, mixture: Tensor) -> Tensor:
        features = self.encoder(mixture)
        gated = self.separator(self.enc_LN(features))
        waveforms = [self.decoder(self.mask_product(self.mask_conv1x1(source), features)) for source in gated]
        sources: Tensor = self.stack(*waveforms)
        return sources


NETWORK = DPTNet
