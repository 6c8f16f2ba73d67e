"""Published networks by the layers that have quantized twins: other names of the same arithmetic.

Linear maps are 1x1 convolutions, the norms of torch are gLN and cLN, and an attention is a convolution to queries, keys and values, the
heads, and another convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pipeline.layers.attention.float import Attention, AttentionHeads, GroupNorm, LayerNorm, Linear
from pipeline.layers.elementwise.float import ChannelLayerNorm, Decoder, Encoder, GlobalLayerNorm
from pipeline.layers.encoder.float import MonoDecoder, MonoEncoder, MonoFrameDecoder
from pipeline.layers.named import named
from pipeline.quantization.plain_planes import FOLDED, PLAIN_PLANES, plain_linear, pointwise, with_activation


def to_plain_layers(network: nn.Module) -> None:
    """Replace the layers of a float network, in place, by those of ``layers.py`` that compute the same."""
    for name, module in list(network.named_children()):
        if type(module) in FOLDED:
            FOLDED[type(module)](module)
        if type(module) in _PLAIN:
            setattr(network, name, _PLAIN[type(module)](module))
        else:
            to_plain_layers(module)


def _encoder(layer: MonoEncoder) -> Encoder:
    plain = Encoder(layer.out_channels, layer.kernel_size[0], layer.stride[0], "relu")
    plain.filterbank["_filters"] = layer.weight
    return plain


def _decoder(layer: MonoDecoder) -> Decoder:
    plain = Decoder(layer.in_channels, layer.kernel_size[0], layer.stride[0])
    plain.filterbank["_filters"] = layer.weight
    return plain


def _frame_decoder(layer: MonoFrameDecoder) -> Decoder:
    plain = Decoder(layer.in_features, layer.out_features, layer.stride)
    plain.filterbank["_filters"] = nn.Parameter(layer.filters.detach().contiguous())
    return plain


def _linear(layer: Linear) -> nn.Module:
    return with_activation(plain_linear(layer), layer.activation)


def _norm(kind: type[GlobalLayerNorm], channels: int, layer: LayerNorm | GroupNorm) -> GlobalLayerNorm:
    plain = kind(channels, layer.eps)
    plain.gamma, plain.beta = layer.weight, layer.bias
    return plain


def _layer_norm(layer: LayerNorm) -> GlobalLayerNorm:
    return _norm(ChannelLayerNorm, layer.normalized_shape[0], layer)


def _group_norm(layer: GroupNorm) -> GlobalLayerNorm:
    return _norm(GlobalLayerNorm, layer.num_channels, layer)


def _attention(layer: Attention) -> nn.Module:
    """The logits' factor (C / heads)^-0.5 goes to the queries and the keys in equal parts: they share a grid, so neither may shrink."""
    channels = layer.in_proj_weight.shape[1]
    factor = torch.ones(3 * channels)
    factor[: 2 * channels] = (channels / layer.heads) ** -0.25
    in_proj = pointwise(factor[:, None] * layer.in_proj_weight.detach(), factor * layer.in_proj_bias.detach())
    return named(in_proj=in_proj, heads=AttentionHeads(layer.heads), out_proj=_linear(layer.out_proj))


_PLAIN: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    MonoEncoder: _encoder,
    MonoDecoder: _decoder,
    MonoFrameDecoder: _frame_decoder,
    Linear: _linear,
    LayerNorm: _layer_norm,
    GroupNorm: _group_norm,
    Attention: _attention,
    **PLAIN_PLANES,
}
