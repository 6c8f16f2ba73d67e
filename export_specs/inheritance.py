"""Specs that extend another: the YAML of the base with the changes of each file above it.

A mapping is merged key by key, at every depth. A list or a single value replaces that of the base. ``null`` takes the base's entry
out, so that the schema's default holds again. ``extends`` names a spec that ships with the product, or another file by a path
relative to the file that says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from export_specs.foundation.errors import UserError, choice_error

EXTENDS = "extends"
OWN_KEYS = ("name", "description")  # of each spec itself, so that no two have the same name by accident


def is_file_name(name_or_path: str) -> bool:
    """Whether a setting names a YAML file and not a spec that ships with the product."""
    return name_or_path.endswith((".yaml", ".yml"))


def names_in(folder: Path) -> list[str]:
    """Names of the specs of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def named(folder: Path, kind: str, name: str) -> Path:
    """The file of a spec that ships with the product; ``kind`` is what an error calls it.

    Raises:
        UserError: unknown name; the right ones are listed.
    """
    if name not in names_in(folder):
        raise choice_error(kind, name, names_in(folder))
    return folder / f"{name}.yaml"


def with_bases(path: Path, folder: Path, kind: str) -> object:
    """The content of a spec merged into that of its base, of the base's base and so on; unchanged where it extends nothing.

    Args:
        folder: of the specs that ``extends`` can name; ``kind``: what an error calls them.

    Raises:
        UserError: a file of the chain is unreadable or missing, or the chain leads back to a file that is in it.
    """
    content, chain, changes = read_yaml(path), [path.resolve()], list[dict[str, Any]]()
    while isinstance(content, dict) and EXTENDS in content:
        base = content.pop(EXTENDS)
        if not isinstance(base, str):
            raise UserError(f"the spec {chain[-1]} extends {base!r}: name one {kind} or one YAML file")
        below = (chain[-1].parent / base if is_file_name(base) else named(folder, kind, base)).resolve()
        if below in chain:
            raise UserError(f"the spec {path} extends itself: {' extends '.join(map(str, [*chain, below]))}")
        chain.append(below)
        changes.append(content)
        content = read_yaml(below)
    for above in reversed(changes):
        if not isinstance(content, dict):
            raise UserError(f"the spec {chain[-1]}, which {chain[-2]} extends, holds no settings")
        content = merge({key: value for key, value in content.items() if key not in OWN_KEYS}, above)
    return content


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``: mappings key by key, anything else replaced, ``None`` taken out."""
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def read_yaml(path: Path) -> object:
    """The content of a YAML file.

    Raises:
        UserError: it cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_bytes())  # of bytes it says itself what is no text
    except OSError as error:
        raise UserError(f"cannot read the spec {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UserError(f"the spec {path} is not YAML: {error}") from error
