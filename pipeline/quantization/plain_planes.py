"""The layers of HTDemucs by those that have quantized twins: gates are two convolutions and a product, and factors of channels are gone.

Norms before a GELU or a gate leave gamma and beta to a depthwise convolution of one tap, the factor of a LayerScale with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.layers.attention.float import Attention, CrossHeads, GroupNorm, Linear, SequenceNorm
from pipeline.layers.convolution.float import FirstSpectrumConv, FirstTimeConv, SpectrumConv, TimeConv
from pipeline.layers.elementwise.float import Activation, Depthwise, GateProduct, GlobalLayerNorm, Pointwise, SelectSource, SequencesNorm
from pipeline.layers.named import named
from pipeline.networks.htdemucs.cross_transformer import CrossLayer, LayerScale, SelfLayer
from pipeline.networks.htdemucs.model import DConvBranch


class Gated(nn.Module):
    """A gated linear unit: the product of a value and the sigmoid of a gate, both made of x."""

    def __init__(self, value: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.value, self.gate, self.sigmoid, self.product = value, gate, Activation("sigmoid"), GateProduct()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.product(self.value(x), self.sigmoid(self.gate(x)))
        return result


class CrossAttention(nn.Module):
    """Attention of x [B, L, C] to a memory [B, M, C], itself by default; queries and keys share the logits' factor."""

    def __init__(self, layer: Attention) -> None:
        super().__init__()
        weight, bias = layer.in_proj_weight.detach(), layer.in_proj_bias.detach()
        channels = weight.shape[1]
        factor = torch.ones(3 * channels)
        factor[: 2 * channels] = (channels / layer.heads) ** -0.25
        weight, bias = factor[:, None] * weight, factor * bias
        self.query, self.memory = pointwise(weight[:channels], bias[:channels]), pointwise(weight[channels:], bias[channels:])
        self.heads = CrossHeads(layer.heads)
        self.out_proj = plain_linear(layer.out_proj)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        result: Tensor = self.out_proj(self.heads(self.query(x), self.memory(x if memory is None else memory)))
        return result


def pointwise(weight: Tensor, bias: Tensor) -> Pointwise:
    """A 1x1 convolution with a matrix [O, I] and a bias [O]."""
    plain = Pointwise(weight.shape[1], weight.shape[0])
    plain.weight, plain.bias = nn.Parameter(weight.detach()[:, :, None].clone()), nn.Parameter(bias.detach().clone())
    return plain


def plain_linear(layer: Linear) -> Pointwise:
    """The 1x1 convolution of a linear map, which is told of a gain that was folded into its rows."""
    plain = pointwise(layer.weight, layer.bias)
    gain = getattr(layer, "folded_gain", None)
    if gain is not None:
        remember_gain(plain, gain)
    return plain


def remember_gain(layer: nn.Module, gain: Tensor) -> None:
    """Tell a layer's twin that its channels were multiplied by ``gain`` [C], rounded to powers of two so that the division is exact.

    The factors of a LayerScale begin at 1e-4: a step of training that suits the weights before it would undo those after it.
    """
    layer.register_buffer("folded_gain", torch.exp2(torch.round(torch.log2(gain.detach().abs().clamp(min=2.0**-20)))), persistent=False)


def with_activation(layer: nn.Module, activation: str) -> nn.Module:
    """A layer and the activation behind it: in the layer where its twin has it there, else a layer of its own."""
    if activation == "linear":
        return layer
    if isinstance(layer, Pointwise) and activation != "gelu":
        layer.activation = activation
        return layer
    return named(linear=layer, activation=Activation(activation))


def _convolution(layer: TimeConv | SpectrumConv) -> nn.Module:
    if layer.activation == "glu":
        return Gated(*(_linear_part(layer, part) for part in range(2)))
    return with_activation(_linear_part(layer), layer.activation)


def _linear_part(layer: TimeConv | SpectrumConv, half: int | None = None) -> nn.Module:
    """The convolution without its activation, or with one half of its output channels."""
    assert layer.bias is not None
    chosen = slice(None) if half is None else slice(half * layer.out_channels // 2, (half + 1) * layer.out_channels // 2)
    weight, bias = layer.weight.detach()[chosen], layer.bias.detach()[chosen]
    if layer.weight[0, 0].numel() == 1:
        return pointwise(weight.flatten(1), bias)
    plain: TimeConv | SpectrumConv
    padding = [int(size) for size in layer.padding]
    if isinstance(layer, TimeConv):
        plain = type(layer)(layer.in_channels, len(bias), layer.kernel_size[0], layer.stride[0], layer.dilation[0], padding[0])
    else:
        plain = type(layer)(
            layer.in_channels, len(bias), (layer.kernel_size[0], layer.kernel_size[1]), layer.stride[0], (padding[0], padding[1]), "linear"
        )
    plain.weight, plain.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return plain


def _branch(branch: DConvBranch) -> nn.Module:
    conv, norm, _, expand, expanded_norm, _, scale = branch
    assert isinstance(conv, TimeConv) and isinstance(expand, TimeConv) and isinstance(scale, LayerScale)
    assert isinstance(norm, GroupNorm) and isinstance(expanded_norm, GroupNorm)
    channels = len(scale.scale)
    value, gate = slice(channels), slice(channels, None)
    return named(
        conv=conv,
        norm=_without_affine(norm),
        affine=_affine(norm.weight, norm.bias),
        gelu=Activation("gelu"),
        expand=_linear_part(expand),
        expanded_norm=_without_affine(expanded_norm),
        gated=Gated(
            named(select=SelectSource(0, channels), affine=_scaled_affine(scale, *(part[value] for part in _parameters(expanded_norm)))),
            named(select=SelectSource(1, channels), affine=_affine(*(part[gate] for part in _parameters(expanded_norm)))),
        ),
    )


def _parameters(norm: GroupNorm) -> tuple[Tensor, Tensor]:
    return norm.weight, norm.bias


def _without_affine(norm: GroupNorm) -> GlobalLayerNorm:
    plain = (SequencesNorm if isinstance(norm, SequenceNorm) else GlobalLayerNorm)(norm.num_channels, norm.eps)
    for parameter in plain.parameters():
        parameter.requires_grad_(False)
    return plain


def _affine(gamma: Tensor, beta: Tensor) -> Depthwise:
    plain = Depthwise(len(gamma), 1, 1, causal=False)
    plain.weight, plain.bias = nn.Parameter(gamma.detach()[:, None, None].clone()), nn.Parameter(beta.detach().clone())
    return plain


def _scaled_affine(scale: LayerScale, gamma: Tensor, beta: Tensor) -> Depthwise:
    plain = _affine(scale.scale * gamma, scale.scale * beta)
    remember_gain(plain, scale.scale)
    return plain


def _fold_scales(layer: SelfLayer | CrossLayer) -> None:
    """Put the LayerScale of attention and feed-forward network into the matrix before it."""
    name = "self_attn" if isinstance(layer, SelfLayer) else "cross_attn"
    attention = layer.get_submodule(name)
    assert isinstance(attention, Attention)
    with torch.no_grad():
        for linear, scale in ((attention.out_proj, layer.gamma_1), (layer.linear2, layer.gamma_2)):
            assert isinstance(linear, Linear) and isinstance(scale, LayerScale)
            linear.weight.mul_(scale.scale[:, None])
            linear.bias.mul_(scale.scale)
            remember_gain(linear, scale.scale)
    layer.gamma_1 = layer.gamma_2 = nn.Identity()  # type: ignore[assignment]
    setattr(layer, name, CrossAttention(attention))


FOLDED: dict[type[nn.Module], Callable[[Any], None]] = {SelfLayer: _fold_scales, CrossLayer: _fold_scales}
PLAIN_PLANES: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    TimeConv: _convolution,
    SpectrumConv: _convolution,
    FirstTimeConv: _convolution,
    FirstSpectrumConv: _convolution,
    DConvBranch: _branch,
}
