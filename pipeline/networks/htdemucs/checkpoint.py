"""HTDemucs in the packages of demucs: class, arguments and tensors."""

from __future__ import annotations

from typing import cast

from export_specs.schema import ModelSpec
from pipeline.checkpoints.format import Format
from pipeline.checkpoints.settings import Setting, common_settings
from pipeline.networks.htdemucs.spec import HtDemucsSpec

# what demucs has where the arguments of a package do not say; only what no tensor's shape tells
DEFAULTS: dict[str, dict[str, object]] = {"HTDemucs": {"samplerate": 44100, "nfft": 4096, "stride": 4, "t_heads": 8}}
_FIXED: dict[str, object] = {  # what HTDemucs could be made otherwise with, and this network is not
    "growth": 2,
    "cac": True,
    "rewrite": True,
    "freq_emb": 0.2,
    "emb_scale": 10,
    "context": 1,
    "context_enc": 0,
    "dconv_mode": 3,
    "dconv_depth": 2,
    "dconv_comp": 8,
    "wiener_iters": 0,
    "end_iters": 0,
    "t_emb": "sin",
    "t_norm_in": True,
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_norm_first": True,
    "t_norm_out": True,
    "t_max_period": 10000.0,
    "t_layer_scale": True,
    "t_gelu": True,
    "t_weight_pos_embed": 1.0,
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "t_cross_first": False,
}


def settings(spec: ModelSpec) -> list[Setting]:
    """By demucs' arguments, whose names are ours."""
    net = cast(HtDemucsSpec, spec.network)
    return [
        *common_settings(spec),
        *(Setting(name, value, (name,)) for name, value in net.model_dump().items()),
        *(Setting(name, value, (name,)) for name, value in _FIXED.items()),
    ]


FORMAT = Format(settings, defaults=DEFAULTS)
