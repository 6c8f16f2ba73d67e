"""From a spec to a float network."""

from __future__ import annotations

from torch import nn

from export_specs.schema import ModelSpec
from pipeline.models.convtasnet import ConvTasNet


def build_network(spec: ModelSpec) -> nn.Module:
    """The float network of a spec, with random weights."""
    return {"convtasnet": ConvTasNet}[spec.architecture](spec)
