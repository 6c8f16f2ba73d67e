"""PReLU."""

from __future__ import annotations

from torch import nn


class Prelu(nn.PReLU):
    """PReLU with one slope for all channels."""
