"""Packages whose modules are found instead of listed, so that adding one is adding a file."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from export_specs.foundation.errors import UserError


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


def member_names(package: str) -> list[str]:
    """Names of the modules and packages that stand directly in a package, in alphabetical order.

    Nothing of it is imported but the outermost package: what stands in it may take seconds.
    """
    outermost, *inner = package.split(".")
    places = [str(Path(place, *inner)) for place in importlib.import_module(outermost).__path__]
    return sorted(found.name for found in pkgutil.iter_modules(places))


def module_of_file(path: Path) -> ModuleType:
    """Import a Python file that belongs to no package; no digest of code knows of it.

    Raises:
        UserError: it is not there, is no Python file, or what it runs fails.
    """
    name = f"file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # annotations of dataclasses are looked up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's own file raises
        del sys.modules[name]
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
