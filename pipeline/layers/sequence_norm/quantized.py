"""Integer gLN of each sequence by itself, as the branches of HTDemucs take it for each frequency: cLN over L * C values.

The levels of frequencies lie as far apart as those of frames, so the two gains of cLN serve both. What differs is the mean, which is that
of the channels' means over time: each of those is rounded to a whole code, by the kernel of AVERAGE_POOL_2D.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.layers.channel_norm.quantized import QuantizedChannelNorm, subtract_mean
from pipeline.layers.sequence_norm.float import SequencesNorm


class QuantizedSequencesNorm(QuantizedChannelNorm):
    """gLN without affine of each of the sequences [B, N, L, C]."""

    def __init__(self, layer: SequencesNorm) -> None:
        super().__init__(layer)
        self.channels = len(layer.gamma)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.flatten(2))
        return normed.view(x.shape)

    def float_norm(self, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        return (x - mean) * rstd

    def centred(self, codes: Tensor, zero_point: Tensor, new_zero_point: Tensor) -> Tensor:
        channel_means = torch.round(codes.unflatten(2, (-1, self.channels)).mean(2))
        return subtract_mean(codes, channel_means, zero_point, new_zero_point)
