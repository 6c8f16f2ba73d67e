"""SpeechBrain's SepFormer. The package imports torchaudio, ruamel.yaml and others, which no network needs: stand-ins let it import."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import cast
from unittest.mock import MagicMock

import pytest
from torch import nn

from pipeline.networks.sepformer.spec import SepFormerSpec

STAND_INS = ("torchaudio", "ruamel", "ruamel.yaml", "hyperpyyaml", "sentencepiece", "joblib")


def sepformer(net: SepFormerSpec, n_src: int) -> nn.Module:
    """SpeechBrain's network of a spec, with its own random weights."""
    network: nn.Module = _dual_path().SepformerWrapper(
        encoder_kernel_size=net.kernel_size,
        encoder_out_nchannels=net.n_filters,
        masknet_chunksize=net.chunk_size,
        masknet_numlayers=net.n_repeats,
        masknet_numspks=n_src,
        intra_numlayers=net.n_layers,
        inter_numlayers=net.n_layers,
        intra_nhead=net.n_heads,
        inter_nhead=net.n_heads,
        intra_dffn=net.ffn_chan,
        inter_dffn=net.ffn_chan,
    )
    return network.eval()


@cache
def _dual_path() -> ModuleType:
    """The module of the network. The package does not stay in ``sys.modules``: its lazy modules break whoever looks through them."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        for name in STAND_INS:
            if name not in sys.modules:
                patch.setitem(sys.modules, name, _stand_in(name))
        module = pytest.importorskip("speechbrain.lobes.models.dual_path", reason="the test requirements are not installed")
    for name in set(sys.modules) - before:
        if name.startswith("speechbrain"):
            del sys.modules[name]
    return cast(ModuleType, module)


def _stand_in(name: str) -> ModuleType:
    module = MagicMock()
    module.__name__, module.__path__, module.__spec__, module.__version__ = name, [], None, "2.13.0"
    return cast(ModuleType, module)
