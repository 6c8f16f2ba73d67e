"""Layers as published implementations have them, by layers that have a quantized form: other names of the same arithmetic.

Linear maps are 1x1 convolutions, the norms of torch are gLN and cLN, an attention is a convolution to queries, keys and values, the heads,
and another convolution, and a gated convolution is two of them and a product.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class HasPlainForm(Protocol):
    """A float layer that computes what other layers do."""

    def plain(self) -> nn.Module:
        """Those layers, with the same weights; or itself, with other layers inside."""


def to_plain_layers(network: nn.Module) -> None:
    """Replace the layers of a float network, in place, by those that have a quantized form and compute the same."""
    for name, module in list(network.named_children()):
        replaced = module.plain() if isinstance(module, HasPlainForm) else module
        if replaced is module:
            to_plain_layers(module)
        else:
            setattr(network, name, replaced)
