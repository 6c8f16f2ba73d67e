"""From a spec to a float network."""

from __future__ import annotations

from export_specs.foundation.discovery import part_of
from export_specs.schema import ModelSpec
from pipeline.networks.network import Network


def build_network(spec: ModelSpec) -> Network:
    """The float network of a spec, with random weights: ``NETWORK`` of its folder's ``model.py``."""
    network: Network = part_of("pipeline.networks", spec.architecture, "model").NETWORK(spec.network, spec.n_src)
    return network
