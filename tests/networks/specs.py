"""Specs of Conv-TasNets for tests, and the same network in Asteroid."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from export_specs.load import load_model
from export_specs.schema import ModelSpec

SMALL = {
    "n_filters": 12,
    "kernel_size": 8,
    "stride": 4,
    "bn_chan": 6,
    "hid_chan": 10,
    "skip_chan": 5,
    "conv_kernel_size": 3,
    "n_blocks": 3,
    "n_repeats": 2,
}


def small_spec(n_src: int = 2, **network: Any) -> ModelSpec:
    """A network of a few thousand weights; ``network`` overrides its settings."""
    fields = load_model("convtasnet").model_dump()
    task = "separation" if n_src > 1 else "enhancement"
    changes = {"name": "small", "n_src": min(n_src, 2), "task": task, "segment_samples": 408, "network": {**SMALL, **network}}
    return ModelSpec.model_validate({**fields, **changes}).model_copy(update={"n_src": n_src})  # 3: of networks, not of data sets


def asteroid_network(spec: ModelSpec) -> nn.Module:
    """Asteroid's network of a spec, with its own random weights; norms and slopes are made to differ from their defaults."""
    models = pytest.importorskip("asteroid.models", reason="the test requirements are not installed")
    settings = spec.network.model_dump()
    activation = settings.pop("encoder_act")
    network: nn.Module = models.ConvTasNet(
        spec.n_src,
        **settings,
        norm_type="cLN" if spec.network.causal else "gLN",
        encoder_activation=None if activation == "linear" else activation,
        sample_rate=spec.sample_rate,
    )
    for name, parameter in network.named_parameters():
        if name.endswith(("gamma", "beta", "bias")) or parameter.numel() == 1:
            nn.init.uniform_(parameter, 0.1, 0.9)
    return network.eval()
