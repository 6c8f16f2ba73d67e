"""What a release bundle is, for those who make it and those who check it: a folder, or a tar of it, with a digest of every file."""

from __future__ import annotations

from pathlib import PurePosixPath

CARD = "README.md"
LICENCE, NOTICE, THIRD_PARTY = "LICENSE", "NOTICE", "THIRD_PARTY.md"
BILL = "sbom.cdx.json"
PROVENANCE = "provenance.intoto.json"
SUMS = "SHA256SUMS"
SIGNATURE = "model.sig"
NOT_IN_SUMS = (SUMS, SIGNATURE)


def fault_of_name(name: str) -> str:
    """Why no file of a bundle may be called so; "" where it may. A name is a path below the bundle's folder, with slashes."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        return "leads out of the bundle"
    if str(path) != name or "\\" in name or not name.isprintable():
        return "is no plain path"
    return ""
