"""SepFormer in SpeechBrain's files: weights of its three parts, and their arguments in ``hyperparams.yaml``."""

from __future__ import annotations

from typing import cast

from export_specs.schema import ModelSpec
from pipeline.checkpoints.format import Format
from pipeline.checkpoints.settings import Setting, common_settings
from pipeline.networks.sepformer.spec import SepFormerSpec

_MASKS, _TRANSFORMER = "Dual_Path_Model", "SBTransformerBlock"


def settings(spec: ModelSpec) -> list[Setting]:
    """By the arguments of SpeechBrain's classes, and our own names."""
    net = cast(SepFormerSpec, spec.network)
    return [
        *common_settings(spec),
        Setting("n_src", spec.n_src, (f"{_MASKS}.num_spks",)),
        Setting("n_filters", net.n_filters, ("n_filters", "N_encoder_out", "Encoder.out_channels", f"{_TRANSFORMER}.d_model")),
        Setting("kernel_size", net.kernel_size, ("kernel_size", "Encoder.kernel_size", "Decoder.kernel_size")),
        Setting("stride", net.stride, ("stride", "kernel_stride", "Decoder.stride")),
        Setting("chunk_size", net.chunk_size, ("chunk_size", f"{_MASKS}.K")),
        Setting("n_heads", net.n_heads, ("n_heads", "nhead", f"{_TRANSFORMER}.nhead")),
        Setting("n_layers", net.n_layers, ("n_layers", f"{_TRANSFORMER}.num_layers")),
        Setting("ffn_chan", net.ffn_chan, ("ffn_chan", "d_ffn", f"{_TRANSFORMER}.d_ffn")),
        Setting("n_repeats", net.n_repeats, ("n_repeats", f"{_MASKS}.num_layers")),
        Setting("norm", "ln", (f"{_MASKS}.norm",)),
        Setting("skip around the transformers", True, (f"{_MASKS}.skip_around_intra",)),
        Setting("linear layer after them", False, (f"{_MASKS}.linear_layer_after_inter_intra",)),
        Setting("norm before each layer", True, (f"{_TRANSFORMER}.norm_before",)),
        Setting("position table", True, (f"{_TRANSFORMER}.use_positional_encoding",)),
        Setting("activation", "relu", (f"{_TRANSFORMER}.activation",)),
        Setting("bias of the decoder", False, ("Decoder.bias",)),
    ]


FORMAT = Format(settings)
