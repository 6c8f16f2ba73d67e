"""The Conv-TasNet without a skip path, of kaituoxu's implementation (one channel) and of Demucs version 2 (stereo), with the same names."""

from __future__ import annotations

from typing import cast

from export_specs.schema import ModelSpec
from pipeline.checkpoints.format import Format
from pipeline.checkpoints.settings import Setting, common_settings
from pipeline.networks.convtasnet_music.spec import ConvTasNetMusicSpec


def settings(spec: ModelSpec) -> list[Setting]:
    """By the letters of the paper, as both packages have them."""
    net = cast(ConvTasNetMusicSpec, spec.network)
    return [
        *common_settings(spec),
        Setting("n_src", spec.n_src, ("C",)),
        Setting("audio_channels", net.audio_channels, ("audio_channels",)),
        Setting("n_filters", net.n_filters, ("N", "n_filters")),
        Setting("kernel_size", net.kernel_size, ("L", "kernel_size")),
        Setting("stride", net.stride, ("stride",)),
        Setting("bn_chan", net.bn_chan, ("B", "bn_chan")),
        Setting("hid_chan", net.hid_chan, ("H", "hid_chan")),
        Setting("conv_kernel_size", net.conv_kernel_size, ("P", "conv_kernel_size")),
        Setting("n_blocks", net.n_blocks, ("X", "n_blocks")),
        Setting("n_repeats", net.n_repeats, ("R", "n_repeats")),
        Setting("norm", "gLN", ("norm_type",)),
        Setting("causal", False, ("causal",)),
        Setting("mask", "relu", ("mask_nonlinear", "mask_act")),
    ]


FORMAT = Format(settings)
