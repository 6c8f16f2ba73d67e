"""SepFormer for speech (Subakan et al. 2021), as SpeechBrain's Libri2Mix recipe and the FQSS paper have it.

Module names follow SpeechBrain 1.1, so that its checkpoints load by key. Tensors are channels-last: features [B, F, C], chunks of them
[B, S, K, C].
"""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.layers.add import Add
from pipeline.layers.attention.float import Attention
from pipeline.layers.channel_norm.float import LayerNorm
from pipeline.layers.chunks.float import MergeChunks, SplitChunks, TransposeChunks
from pipeline.layers.decoder.float import MonoDecoder
from pipeline.layers.encoder.float import MonoEncoder
from pipeline.layers.global_norm.float import GroupNorm
from pipeline.layers.multiply import Multiply
from pipeline.layers.named import named
from pipeline.layers.pointwise import Linear, Pointwise
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.sources import SelectSource, StackSources
from pipeline.layers.tables.float import PositionTable
from pipeline.networks.network import Network
from pipeline.networks.sepformer.spec import SepFormerSpec

EPS = 1e-6  # of the norms inside the transformers
GROUP_EPS = 1e-8


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, each after a norm and added to its input: [..., L, C] to the same."""

    def __init__(self, channels: int, heads: int, ffn_chan: int) -> None:
        super().__init__()
        self.self_att = named(att=Attention(channels, heads))
        feed_forward = {"0": Linear(channels, ffn_chan, activation="relu"), "3": Linear(ffn_chan, channels)}
        self.pos_ffn = named(ffn=named(**feed_forward))
        self.norm1, self.norm2 = named(norm=LayerNorm(channels, EPS)), named(norm=LayerNorm(channels, EPS))
        self.attention_add, self.ffn_add = Add(), Add()

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_add(x, self.self_att(self.norm1(x)))
        result: Tensor = self.ffn_add(x, self.pos_ffn(self.norm2(x)))
        return result


class Transformer(nn.Module):
    """Position table, layers and a last norm: [..., L, C] to the same. L is 2500 at most."""

    def __init__(self, net: SepFormerSpec) -> None:
        super().__init__()
        self.pos_enc = PositionTable(net.n_filters)
        layers = (TransformerLayer(net.n_filters, net.n_heads, net.ffn_chan) for _ in range(net.n_layers))
        self.mdl = named(layers=nn.Sequential(*layers), norm=named(norm=LayerNorm(net.n_filters, EPS)))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.mdl(self.pos_enc(x))
        return result


class DualPathBlock(nn.Module):
    """A transformer within and one across chunks, each normed and added to its input: [B, S, K, C] to the same."""

    def __init__(self, net: SepFormerSpec) -> None:
        super().__init__()
        self.intra_mdl, self.inter_mdl = Transformer(net), Transformer(net)
        self.intra_norm, self.inter_norm = GroupNorm(net.n_filters, GROUP_EPS), GroupNorm(net.n_filters, GROUP_EPS)
        self.intra_add, self.inter_add = Add(), Add()
        self.to_places, self.to_chunks = TransposeChunks(), TransposeChunks()

    def forward(self, chunks: Tensor) -> Tensor:
        chunks = self.intra_add(chunks, self.intra_norm(self.intra_mdl(chunks)))
        across = self.to_chunks(self.inter_mdl(self.to_places(chunks)))
        result: Tensor = self.inter_add(chunks, self.inter_norm(across))
        return result


class MaskNet(nn.Module):
    """Features [B, F, C] to the mask [B, F, C] of each source."""

    def __init__(self, net: SepFormerSpec, n_src: int) -> None:
        super().__init__()
        channels = net.n_filters
        self.norm = GroupNorm(channels, GROUP_EPS)
        self.conv1d = Pointwise(channels, channels, bias=False)
        self.split = SplitChunks(net.chunk_size)
        self.dual_mdl = nn.Sequential(*(DualPathBlock(net) for _ in range(net.n_repeats)))
        self.prelu = Prelu()
        self.conv2d = Pointwise(channels, n_src * channels)
        self.select = nn.ModuleList(SelectSource(source, channels) for source in range(n_src))
        self.merge = MergeChunks()
        self.output = nn.Sequential(Pointwise(channels, channels, activation="tanh"))
        self.output_gate = nn.Sequential(Pointwise(channels, channels, activation="sigmoid"))
        self.gate_product = Multiply()
        self.end_conv1x1 = Pointwise(channels, channels, bias=False, activation="relu")

    def forward(self, features: Tensor) -> list[Tensor]:
        chunks = self.conv2d(self.prelu(self.dual_mdl(self.split(self.conv1d(self.norm(features))))))
        merged = [self.merge(select(chunks), features) for select in self.select]
        return [self.end_conv1x1(self.gate_product(self.output(source), self.output_gate(source))) for source in merged]


class SepFormer(Network):
    """Mixture [B, T] to sources [B, S, T]; 1.0 is full scale. T must be kernel_size + a multiple of stride."""

    def __init__(self, net: SepFormerSpec, n_src: int) -> None:
        super().__init__()
        self.encoder = named(conv1d=MonoEncoder(net.n_filters, net.kernel_size, net.stride))
        self.masknet = MaskNet(net, n_src)
        self.mask_product = Multiply()
        self.decoder = MonoDecoder(net.n_filters, net.kernel_size, net.stride)
        self.stack = StackSources()

    def forward(self, mixture: Tensor) -> Tensor:
        features = self.encoder(mixture)
        masked = [self.mask_product(mask, features) for mask in self.masknet(features)]
        sources: Tensor = self.stack(*[self.decoder(source) for source in masked])
        return sources


NETWORK = SepFormer
