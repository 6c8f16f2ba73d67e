"""Layers of sequences [..., L, C]: attention, recurrence, position tables, and the norms that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.elementwise.float import activate


class Linear(nn.Linear):
    """Linear map of the channels [..., I] to [..., O], with the named activation."""

    def __init__(self, in_channels: int, out_channels: int, activation: str = "linear") -> None:
        super().__init__(in_channels, out_channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return activate(super().forward(x), self.activation)


class LayerNorm(nn.LayerNorm):
    """Norm over the channels of each place of a sequence: [..., C]."""


class GroupNorm(nn.GroupNorm):
    """Norm over all places and channels of an example, [B, ..., C]: gLN as torch has it, whose parameters are ``weight`` and ``bias``."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(1, channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class SequenceNorm(GroupNorm):
    """Norm over the places and channels of each sequence, [B, ..., L, C]."""

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.flatten(0, -3)).unflatten(0, x.shape[:-2])
        return normed


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


class BiLstm(nn.LSTM):
    """One bidirectional LSTM, its output rectified where asked for: [..., L, C] to [..., L, 2 * hid_chan], forward before backward."""

    def __init__(self, channels: int, hid_chan: int, rectified: bool = False) -> None:
        super().__init__(channels, hid_chan, batch_first=True, bidirectional=True)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # its states are nobody's business here
        if x.is_meta:  # where shapes alone are asked for, torch would unroll the recurrence
            return x.new_empty(*x.shape[:-1], 2 * self.hidden_size)
        hidden: Tensor = super().forward(x.flatten(0, -3))[0].unflatten(0, x.shape[:-2])
        return functional.relu(hidden) if self.rectified else hidden


class PositionTable(nn.Module):
    """Adds a table of sines and cosines in turn (Vaswani et al. 2017) to sequences [..., L, C]; C must be even."""

    def __init__(self, channels: int, rows: int = 2500) -> None:
        super().__init__()
        frequencies = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
        angles = torch.arange(rows)[:, None] * frequencies
        self.pe: Tensor
        self.register_buffer("pe", torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[None])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rows(x.shape[-2])

    def rows(self, length: int) -> Tensor:
        """The first rows of the table [1, L, C].

        Raises:
            ValueError: the table is shorter.
        """
        if length > self.pe.shape[1]:
            raise ValueError(f"a sequence of {length} is longer than its position table of {self.pe.shape[1]}")
        return self.pe[:, :length]
