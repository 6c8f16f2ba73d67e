"""The checkpoint format of a network, by the name of its architecture."""

from __future__ import annotations

from export_specs.foundation.discovery import part_of
from pipeline.checkpoints.format import Format


def checkpoint_format(architecture: str) -> Format:
    """``FORMAT`` of its folder's ``checkpoint.py``; where there is none, files have the network's own names and tell nothing of it."""
    found: Format = getattr(part_of("pipeline.networks", architecture, "checkpoint"), "FORMAT", Format(settings=lambda _: []))
    return found
