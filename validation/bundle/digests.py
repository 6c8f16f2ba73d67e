"""A bundle's files beside SHA256SUMS and beside the files that its provenance speaks of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.bundle import NOT_IN_SUMS, PROVENANCE, SUMS, fault_of_name
from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def differences(folder: Path) -> tuple[list[str], int]:
    """What differs, in words with the file's name ("changed: model.tflite"), and how many files there are.

    Raises:
        UserError: SHA256SUMS is not there, is damaged, or names files outside.
    """
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    listed = _listed(folder / SUMS)
    digests = {name: sha256(folder / name) for name in sorted(files & listed.keys())}
    found = [f"changed: {name}" for name, digest in digests.items() if digest != listed[name]]
    found += [f"missing: {name}" for name in listed.keys() - files]
    found += [f"not of the bundle: {name}" for name in files - listed.keys() - set(NOT_IN_SUMS)]
    if not found and PROVENANCE in listed:
        found = _unlike_provenance(folder / PROVENANCE, digests)
    return sorted(found), len(files)


def _listed(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise UserError(f"{path.parent} has no {SUMS}: it is no bundle, or it is not whole")
    listed: dict[str, str] = {}
    for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in listed or match[2] in NOT_IN_SUMS:
            raise UserError(f"changed: {SUMS}: its line {number} is no digest of a file, two spaces and a name of its own")
        if fault := fault_of_name(match[2]):
            raise UserError(f"{SUMS} names {match[2]!r}, which {fault}: the bundle is refused")
        listed[match[2]] = match[1]
    return listed


def _unlike_provenance(path: Path, digests: Mapping[str, str]) -> list[str]:
    """The files that are whole by SHA256SUMS and others than those whose origin is told."""
    try:
        statement: Any = json.loads(path.read_text())
        told = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    except (ValueError, KeyError, TypeError) as error:
        return [f"changed: {path.name}: it is no statement of provenance ({type(error).__name__}: {error})"]
    return [f"not of this provenance: {name}" for name, digest in digests.items() if name != path.name and told.get(name) != digest]
