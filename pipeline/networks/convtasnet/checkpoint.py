"""Conv-TasNet for speech in the files of Asteroid, torchaudio and torch's ONNX exporter."""

from __future__ import annotations

import re
from typing import cast

from export_specs.schema import ModelSpec
from pipeline.checkpoints.format import Format
from pipeline.checkpoints.matching import OWN, Layout
from pipeline.checkpoints.settings import Setting, common_settings
from pipeline.layers.global_norm.recipes import FORMER_NAMES, RECIPES
from pipeline.networks.convtasnet.spec import ConvTasNetSpec

_TORCHAUDIO = (
    (r"^(encoder|decoder)\.filterbank\._filters$", r"\1.weight"),
    (r"^masker\.bottleneck\.0\.gamma$", "mask_generator.input_norm.weight"),
    (r"^masker\.bottleneck\.0\.beta$", "mask_generator.input_norm.bias"),
    (r"^masker\.bottleneck\.1\.", "mask_generator.input_conv."),
    (r"^masker\.TCN\.(\d+)\.shared_block\.(\d)\.gamma$", r"mask_generator.conv_layers.\1.conv_layers.\2.weight"),
    (r"^masker\.TCN\.(\d+)\.shared_block\.(\d)\.beta$", r"mask_generator.conv_layers.\1.conv_layers.\2.bias"),
    (r"^masker\.TCN\.(\d+)\.shared_block\.(\d)\.", r"mask_generator.conv_layers.\1.conv_layers.\2."),
    (r"^masker\.TCN\.(\d+)\.res_conv\.", r"mask_generator.conv_layers.\1.res_out."),
    (r"^masker\.TCN\.(\d+)\.skip_conv\.", r"mask_generator.conv_layers.\1.skip_out."),
    (r"^masker\.mask_net\.0\.", "mask_generator.output_prelu."),
    (r"^masker\.mask_net\.1\.", "mask_generator.output_conv."),
)


def _in_torchaudio(name: str) -> str:
    for pattern, replacement in _TORCHAUDIO:
        renamed, count = re.subn(pattern, replacement, name)
        if count:
            return renamed
    return name


def _beside_a_cut(name: str) -> str:
    """In Asteroid's causal networks the depthwise convolution has a place beside the layer that cuts its end off."""
    return re.sub(r"(shared_block\.3)\.(weight|bias)$", r"\1.0.\2", name)


def layouts(spec: ModelSpec) -> tuple[Layout, ...]:
    """Asteroid's, which is ours; its causal form; torchaudio's (``ConvTasNet``)."""
    half = cast(ConvTasNetSpec, spec.network).kernel_size // 2
    torchaudio = {"stride": half, "causal": False, "encoder_act": "linear"}
    return (
        OWN,
        Layout("Asteroid, causal", _beside_a_cut, {"causal": True}),
        Layout("torchaudio", _in_torchaudio, torchaudio),
    )


def unused(spec: ModelSpec) -> set[str]:
    """Tensors whose result nothing reads, so that torchaudio and the ONNX exporter leave them out: the last residual convolution."""
    net = cast(ConvTasNetSpec, spec.network)
    return {f"masker.TCN.{net.n_blocks * net.n_repeats - 1}.res_conv.{part}" for part in ("weight", "bias")}


def settings(spec: ModelSpec) -> list[Setting]:
    """By the names of Asteroid's ``model_args`` and of torchaudio's arguments."""
    net = cast(ConvTasNetSpec, spec.network)
    return [
        *common_settings(spec),
        Setting("n_filters", net.n_filters, ("n_filters", "enc_num_feats", "in_chan")),
        Setting("kernel_size", net.kernel_size, ("kernel_size", "enc_kernel_size")),
        Setting("stride", net.stride, ("stride",)),
        Setting("bn_chan", net.bn_chan, ("bn_chan", "msk_num_feats")),
        Setting("hid_chan", net.hid_chan, ("hid_chan", "msk_num_hidden_feats")),
        Setting("skip_chan", net.skip_chan, ("skip_chan",)),
        Setting("conv_kernel_size", net.conv_kernel_size, ("conv_kernel_size", "msk_kernel_size")),
        Setting("n_blocks", net.n_blocks, ("n_blocks", "msk_num_layers")),
        Setting("n_repeats", net.n_repeats, ("n_repeats", "msk_num_stacks")),
        Setting("norm", (net.norm, *RECIPES, *FORMER_NAMES), ("norm",)),  # weights quantized here state their recipe under this name
        Setting("norm", "BN" if net.norm == "frozen" else "cLN" if net.causal else "gLN", ("norm_type",)),
        Setting("causal", net.causal, ("causal",)),
        Setting("lookahead_blocks", net.lookahead_blocks, ("lookahead_blocks",)),
        Setting("mask_act", net.mask_act, ("mask_act", "msk_activate")),
        Setting("encoder_act", net.encoder_act, ("encoder_activation", "encoder_act"), none="linear"),
        Setting("filterbank", ("free", "FreeFB"), ("fb_name",)),
    ]


FORMAT = Format(settings, layouts, unused)
