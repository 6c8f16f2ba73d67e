"""How a network is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Variant = Literal["fqss", "vanilla"]


@dataclass(frozen=True)
class Recipe:
    """``fqss``: splitter and reconstructor; ``vanilla``: 8-bit input and output. ``norm``: the target's integer gLN
    (``pipeline/layers/global_norm/recipes``); cLN has one form."""

    variant: Variant
    norm: str
