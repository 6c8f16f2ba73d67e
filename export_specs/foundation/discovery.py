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
    return sorted(found.name for found in _members(package))


def package_names(package: str) -> list[str]:
    """As :func:`member_names`, of the packages alone."""
    return sorted(found.name for found in _members(package) if found.ispkg)


def _members(package: str) -> list[pkgutil.ModuleInfo]:
    outermost, *inner = package.split(".")
    known = sys.modules.get(package)  # a package's path may have been extended
    places = known.__path__ if known else [str(Path(place, *inner)) for place in importlib.import_module(outermost).__path__]
    return list(pkgutil.iter_modules(places))


def part_of(package: str, member: str, part: str) -> ModuleType:
    """Import the module ``part`` of a package ``member`` that stands in a package; the member itself where it has no such module.

    The digests of code that stages depend on know this function by its name and count that part of all members: ``package`` and ``part``
    must be written as strings.
    """
    whole = importlib.import_module(f"{package}.{member}")
    if importlib.util.find_spec(f"{whole.__name__}.{part}") is None:
        return whole
    return importlib.import_module(f"{whole.__name__}.{part}")


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
