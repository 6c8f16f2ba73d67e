"""The checkpoint format of each architecture."""

from __future__ import annotations

from export_specs.networks import Architecture
from pipeline.checkpoints.format import Format
from pipeline.networks.convtasnet import checkpoint as convtasnet
from pipeline.networks.convtasnet_music import checkpoint as convtasnet_music
from pipeline.networks.dptnet import checkpoint as dptnet
from pipeline.networks.htdemucs import checkpoint as htdemucs
from pipeline.networks.sepformer import checkpoint as sepformer

FORMATS: dict[Architecture, Format] = {
    "convtasnet": convtasnet.FORMAT,
    "convtasnet_music": convtasnet_music.FORMAT,
    "dptnet": dptnet.FORMAT,
    "sepformer": sepformer.FORMAT,
    "htdemucs": htdemucs.FORMAT,
}
