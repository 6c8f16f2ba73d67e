"""cLN: statistics over the channels of each frame; [B, ..., C]."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pipeline.layers.accounting import Macs
from pipeline.layers.global_norm.float import GlobalLayerNorm


class ChannelLayerNorm(GlobalLayerNorm):
    """cLN: statistics over the channels of each frame, for causal networks and for transformers; [B, ..., C]."""

    axes = (2,)


class LayerNorm(nn.LayerNorm):
    """Norm over the channels of each place of a sequence: [..., C]."""

    def plain(self) -> ChannelLayerNorm:
        """The cLN with these parameters."""
        return ChannelLayerNorm.with_affine(self.weight, self.bias, self.eps)

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """The paper counts an element as two."""
        return Macs(2 * inputs[0].numel(), 0)
