"""The demucs package's HTDemucs. It imports julius for its resampling data loaders: a stand-in lets it import."""

from __future__ import annotations

import sys
from fractions import Fraction
from unittest.mock import MagicMock

import pytest
from torch import nn

from pipeline.networks.htdemucs.spec import HtDemucsSpec


def htdemucs(net: HtDemucsSpec, n_src: int, samples: int) -> nn.Module:
    """The package's network of a spec for segments of ``samples``, with its own random weights."""
    with pytest.MonkeyPatch.context() as patch:
        if "julius" not in sys.modules:
            patch.setitem(sys.modules, "julius", MagicMock())
        module = pytest.importorskip("demucs.htdemucs", reason="the test requirements are not installed")
    network: nn.Module = module.HTDemucs(
        [f"source {index}" for index in range(n_src)],
        **net.model_dump(),
        dconv_mode=3,
        segment=Fraction(samples, 44100),
    )
    return network.eval()
