"""The settings of a network, by the name of its architecture, which is its folder in ``pipeline/networks``. Needs no torch."""

from __future__ import annotations

from export_specs.foundation.discovery import package_names, part_of
from export_specs.foundation.errors import choice_error
from export_specs.networks import NetworkSpec


def architectures() -> list[str]:
    """Names of all networks."""
    return package_names("pipeline.networks")


def network_spec(architecture: str) -> type[NetworkSpec]:
    """The class of a network's settings, ``SPEC`` of its folder's ``spec.py``.

    Raises:
        ValueError: there is no such network; the message lists the right names.
    """
    if architecture not in architectures():
        raise ValueError(choice_error("architecture", architecture, architectures()))
    found: type[NetworkSpec] = part_of("pipeline.networks", architecture, "spec").SPEC
    return found
