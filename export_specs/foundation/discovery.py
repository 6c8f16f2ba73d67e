"""Packages whose modules are found instead of listed, so that adding one is adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def discovered_modules(package: str) -> list[ModuleType]:
    """Import every module and every package that stands directly in a package, and return them in alphabetical order.

    The digests of code that stages depend on (``export_specs.foundation.code_version``) know this function by its name: ``package`` must
    be written as a string or as ``__name__``.

    Args:
        package: dotted name of a package; its own ``__init__`` may call this.
    """
    places = importlib.import_module(package).__path__
    return [
        importlib.import_module(f"{package}.{found.name}") for found in sorted(pkgutil.iter_modules(places), key=lambda item: item.name)
    ]
