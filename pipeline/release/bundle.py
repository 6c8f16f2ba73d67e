"""Writes a release bundle: a folder, and the same as a tar of which equal content has equal bytes."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from export_specs.bundle import BILL, CARD, LICENCE, NOT_IN_SUMS, NOTICE, PROVENANCE, SIGNATURE, SUMS, THIRD_PARTY
from export_specs.foundation.atomic import atomic_path, sha256, write_text
from export_specs.foundation.code_version import ROOT
from export_specs.foundation.errors import UserError
from pipeline.package.distribution import MANIFEST
from pipeline.release.bill import bill_of_materials
from pipeline.release.card import card, front_matter
from pipeline.release.deployed import Release
from pipeline.release.provenance import provenance
from pipeline.release.signature import sign
from pipeline.release.third_party import notice, third_party


def write_bundle(release: Release, out: Path, own_card: str | None, key: Path | None, product_version: str) -> Path:
    """Write ``out/NAME`` and ``out/NAME.tar``, each whole or not at all; an older bundle of that name is replaced.

    Args:
        own_card: text of the card of the weights, None where there is none.
        key: private key that signs; None for none.

    Returns:
        The tar.

    Raises:
        UserError: ``out/NAME`` is there and is no bundle.
    """
    place = out / release.name
    if place.exists() and not (place / SUMS).is_file():
        raise UserError(f"{place} exists and is no bundle: name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=f".{release.name}-") as name:
        fresh = Path(name) / release.name
        _fill(fresh, release, own_card, product_version)
        if key is not None:
            sign(fresh, key)
        with atomic_path(out / f"{release.name}.tar") as temporary:
            _write_tar(fresh, temporary, release.date)
        if place.exists():
            place.rename(Path(name) / "old")
        fresh.rename(place)
    return out / f"{release.name}.tar"


def _fill(folder: Path, release: Release, own_card: str | None, product_version: str) -> None:
    for name in (MANIFEST, *release.manifest["files"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(release.folder / name, folder / name)
    coming = {LICENCE, NOTICE, THIRD_PARTY, BILL, PROVENANCE, SUMS, *({SIGNATURE} if release.signed else ())}
    facts = front_matter(release, own_card)
    write_text(folder / CARD, card(release, own_card, set(_digests(folder)) | coming))
    write_text(folder / LICENCE, _licence())
    write_text(folder / NOTICE, notice(release, facts))
    write_text(folder / THIRD_PARTY, third_party(release, facts, set(_digests(folder))))
    write_text(folder / BILL, _json(bill_of_materials(release, facts, _digests(folder), product_version)))
    write_text(folder / PROVENANCE, _json(provenance(release, _digests(folder), product_version)))
    write_text(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in _digests(folder).items()))


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that is there by now, in the order of the names."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name: sha256(folder / name) for name in names if name not in NOT_IN_SUMS}


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _licence() -> str:
    if (ROOT / LICENCE).is_file():
        return (ROOT / LICENCE).read_text()
    try:  # of a wheel
        text = distribution("fqss-deploy").read_text(f"licenses/{LICENCE}")
    except PackageNotFoundError:
        text = None
    if text is None:
        raise UserError(f"{LICENCE} of fqss-deploy is not there: install it anew")
    return text


def _write_tar(folder: Path, path: Path, date: int) -> None:
    """All files below ``folder``'s name, in order, with one owner, mode and date. Not compressed: another zlib writes other bytes."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = tarfile.TarInfo(f"{folder.name}/{file.relative_to(folder)}")
            entry.size, entry.mtime, entry.mode = file.stat().st_size, date, 0o644
            with file.open("rb") as stream:
                tar.addfile(entry, stream)
