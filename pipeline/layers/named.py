"""The places that published implementations give to their layers, so that their checkpoints load by key."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def named(**modules: nn.Module) -> nn.Sequential:
    """Modules one after the other under names of one's own: ``named(conv=...)`` has its weights at ``conv.weight``."""
    return nn.Sequential(OrderedDict(modules))
