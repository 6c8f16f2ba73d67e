"""The integer recipes of gLN: one module each, found and never listed, and chosen by a target's ``norm_recipe``.

A module declares its recipe as ``TWIN``. A recipe is called as its module, with hyphens.
"""

from __future__ import annotations

from export_specs.foundation.discovery import discovered_modules
from pipeline.layers.declaration import Twin


def _name(module: str) -> str:
    return module.rpartition(".")[2].replace("_", "-")


RECIPES: dict[str, Twin] = {_name(module.__name__): module.TWIN for module in discovered_modules(__name__)}
