"""gLN of each sequence by itself: statistics over its places and channels."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.global_norm.float import GroupNorm, at_least_float32


class SequencesNorm(ChannelLayerNorm):
    """gLN of each sequence by itself: statistics over its places and channels; [B, N, L, C]."""

    def forward(self, x: Tensor) -> Tensor:
        wide = at_least_float32(x).flatten(2)
        variance, mean = torch.var_mean(wide, 2, correction=0, keepdim=True)
        normed = ((wide - mean) * torch.rsqrt(variance + self.eps)).view(x.shape)
        return (self.gamma * normed + self.beta).to(x.dtype)


class SequenceGroupNorm(GroupNorm):
    """Norm over the places and channels of each sequence, [B, ..., L, C]."""

    plain_form = SequencesNorm

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.flatten(0, -3)).unflatten(0, x.shape[:-2])
        return normed
