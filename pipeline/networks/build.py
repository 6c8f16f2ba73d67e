"""From a spec to a float network."""

from __future__ import annotations

from typing import assert_never

from export_specs.networks import ConvTasNetMusicSpec, ConvTasNetSpec, DptNetSpec, HtDemucsSpec, SepFormerSpec
from export_specs.schema import ModelSpec
from pipeline.networks.convtasnet.model import ConvTasNet
from pipeline.networks.convtasnet_music.model import ConvTasNetMusic
from pipeline.networks.dptnet.model import DPTNet
from pipeline.networks.htdemucs.model import HTDemucs
from pipeline.networks.network import Network
from pipeline.networks.sepformer.model import SepFormer


def build_network(spec: ModelSpec) -> Network:
    """The float network of a spec, with random weights."""
    settings = spec.network
    match settings:
        case ConvTasNetSpec():
            return ConvTasNet(spec)
        case ConvTasNetMusicSpec() as net:
            return ConvTasNetMusic(net, spec.n_src)
        case DptNetSpec() as net:
            return DPTNet(net, spec.n_src)
        case SepFormerSpec() as net:
            return SepFormer(net, spec.n_src)
        case HtDemucsSpec() as net:
            return HTDemucs(net, spec.n_src)
    assert_never(settings)
