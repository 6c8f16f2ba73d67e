"""The integer recipes of gLN: one module each, found and never listed, and chosen by a target's ``norm_recipe``.

A module declares its recipe as ``TWIN``. A recipe is called as its module, with hyphens, and its module as what it does:

* ``scalar-gain``: subtracts an int8 scalar and multiplies by another one; gamma and beta are folded away. For CPUs with vector units.
* ``runtime-filter``: a depthwise convolution whose filter and bias are computed at run time. For microcontrollers (CMSIS-NN).
* ``convolved-sums``: as scalar-gain, with int8 statistics whose sums are convolutions, no int32 arithmetic. For NPUs.
* ``int16-elementwise``: int16 element-wise ops and one int8 table, no int32 arithmetic. The most exact, and slow everywhere.

The records in ``docs/adr`` and weights trained up to then have the names that :data:`FORMER_NAMES` lists.
"""

from __future__ import annotations

from export_specs.foundation.discovery import discovered_modules
from pipeline.layers.declaration import Twin

FORMER_NAMES = {"c25": "scalar-gain", "c23": "runtime-filter", "b14": "int16-elementwise"}


def _name(module: str) -> str:
    return module.rpartition(".")[2].replace("_", "-")


RECIPES: dict[str, Twin] = {_name(module.__name__): module.TWIN for module in discovered_modules(__name__)}
