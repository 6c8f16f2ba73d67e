"""DPTNet in the files of its authors' implementation."""

from __future__ import annotations

from typing import cast

from export_specs.schema import ModelSpec
from pipeline.checkpoints.format import Format
from pipeline.checkpoints.settings import Setting, common_settings
from pipeline.networks.dptnet.spec import DptNetSpec


def settings(spec: ModelSpec) -> list[Setting]:
    """By the names of the implementation's arguments, and our own."""
    net = cast(DptNetSpec, spec.network)
    return [
        *common_settings(spec),
        Setting("n_filters", net.n_filters, ("n_filters", "enc_dim")),
        Setting("kernel_size", net.kernel_size, ("kernel_size", "win_len")),
        Setting("stride", net.stride, ("stride",)),
        Setting("bn_chan", net.bn_chan, ("bn_chan", "feature_dim")),
        Setting("hid_chan", net.hid_chan, ("hid_chan", "hidden_dim")),
        Setting("chunk_size", net.chunk_size, ("chunk_size", "segment_size")),
        Setting("n_heads", net.n_heads, ("n_heads", "nhead")),
        Setting("n_repeats", net.n_repeats, ("n_repeats", "layer")),
    ]


FORMAT = Format(settings)
