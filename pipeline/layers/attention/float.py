"""Multi-head attention (Vaswani et al. 2017) of sequences [..., L, C]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.accounting import Macs
from pipeline.layers.named import named
from pipeline.layers.pointwise import Linear, Pointwise


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) of x [..., L, C] to a memory [..., M, C], itself by default: [..., L, C].

    The three projections are one matrix of 3 C rows, as in torch's module: queries, keys, values.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = Linear(channels, channels)
        self.heads = heads
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        memory = x if memory is None else memory
        parts = zip((x, memory, memory), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        result: Tensor = self.out_proj(attend([functional.linear(*part) for part in parts], self.heads))
        return result

    def projections(self) -> tuple[Tensor, Tensor]:
        """Weight [3 C, C] and bias [3 C] with the logits' factor (C / heads)^-0.5.

        Queries and keys take equal parts of it: they share a grid, so neither may shrink.
        """
        channels = self.in_proj_weight.shape[1]
        factor = torch.ones(3 * channels)
        factor[: 2 * channels] = (channels / self.heads) ** -0.25
        return factor[:, None] * self.in_proj_weight.detach(), factor * self.in_proj_bias.detach()

    def plain(self) -> nn.Module:
        """Self-attention as one convolution to queries, keys and values, the heads, and another convolution."""
        return named(in_proj=Pointwise.of(*self.projections()), heads=AttentionHeads(self.heads), out_proj=self.out_proj.plain())

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """Projections, logits and weighted sum; the output projection is a layer of its own.

        For attention to something else the paper's counter takes the whole packed projection three times: for queries, keys and values.
        """
        x, memory = inputs[0], inputs[-1]
        products = 2 * x.numel() * memory.shape[-2]
        single = (x.numel() + 2 * memory.numel()) * x.shape[-1]
        return Macs(products + (single if memory is x else 3 * single), products + single)

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each row of the three projections."""
        return len(self.in_proj_weight), self.in_proj_weight.numel()


class CrossAttention(nn.Module):
    """An attention of x [B, L, C] to a memory [B, M, C], itself by default, by layers that have a quantized form."""

    def __init__(self, layer: Attention) -> None:
        super().__init__()
        weight, bias = layer.projections()
        channels = weight.shape[1]
        self.query, self.memory = Pointwise.of(weight[:channels], bias[:channels]), Pointwise.of(weight[channels:], bias[channels:])
        self.heads = CrossHeads(layer.heads)
        self.out_proj = layer.out_proj.plain()

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        result: Tensor = self.out_proj(self.heads(self.query(x), self.memory(x if memory is None else memory)))
        return result


class AttentionHeads(nn.Module):
    """Self-attention between its projections: queries, keys and values [..., L, 3 C] to the heads' outputs [..., L, C].

    Logits are not divided by anything: the projections hold the factor.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, projected: Tensor) -> Tensor:
        return attend(projected.chunk(3, -1), self.heads, scale=1.0)


class CrossHeads(AttentionHeads):
    """Attention to another sequence between its projections: queries [B, L, C], keys and values [B, M, 2 C] to outputs [B, L, C]."""

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:  # type: ignore[override]  # it has two inputs
        return attend([query, *memory.chunk(2, -1)], self.heads, scale=1.0)


def attend(projected: Sequence[Tensor], heads: int, scale: float | None = None) -> Tensor:
    """Heads' outputs [..., L, C] of queries [..., L, C], keys and values [..., M, C]; logits are multiplied by ``scale``, (C / heads)^-0.5
    by default."""
    query, key, value = (part.flatten(0, -3).unflatten(-1, (heads, -1)).transpose(1, 2) for part in projected)
    outputs = functional.scaled_dot_product_attention(query, key, value, scale=scale)  # [N, heads, L, C / heads]
    return outputs.transpose(1, 2).reshape(projected[0].shape)
