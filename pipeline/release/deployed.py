"""A deployed folder as something to release: whole, judged, and of known sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from export_specs.bundle import fault_of_name
from export_specs.foundation.atomic import sha256
from export_specs.foundation.code_version import ROOT
from export_specs.foundation.errors import UserError
from export_specs.foundation.source_version import stated_date
from pipeline.package.distribution import MANIFEST
from pipeline.stages.choice import SHIPPED

WEIGHTS = ROOT / "pipeline" / "weights"


@dataclass(frozen=True)
class Release:
    """A deployed folder and what its release is called.

    ``manifest`` and ``parity`` are the content of its ``manifest.json`` and ``parity.json``. ``date`` is in seconds since 1970.
    """

    folder: Path
    manifest: Mapping[str, Any]
    parity: Mapping[str, Any]
    version: str
    date: int
    signed: bool

    @property
    def name(self) -> str:
        """MODEL-TARGET-VERSION, with the length of segments where one was chosen."""
        subject, segment = self.parity["subject"], self.manifest["settings"].get("SEGMENT")
        return "-".join(filter(None, (subject["model"], subject["target"], f"{segment}s" if segment else "", self.version)))

    @property
    def day(self) -> str:
        """The date as ISO 8601 writes it, of UTC."""
        return datetime.fromtimestamp(self.date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def card(self) -> Path | None:
        """The card of the weights, of those that ship with the product."""
        settings = self.manifest["settings"]
        path = WEIGHTS / settings.get("MODEL", "") / "README.md"
        return path if settings["PROFILE"] == SHIPPED and "MODEL" in settings and path.is_file() else None

    @property
    def sources(self) -> str:
        """The commit in words."""
        source = self.manifest["source"]
        return f"commit {source['commit']}{', changed since' if source['changed'] else ''}"


def read_deployed(folder: Path, version: str, signed: bool) -> Release:
    """The release that a deployed folder can become.

    Raises:
        UserError: no deployed folder, or of an earlier product; a file is missing or not as deployed; a gate failed; no date is known.
    """
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} is no deployed folder: name one that `make deploy` made, such as dist/convtasnet-tflite-int8")
    manifest = json.loads((folder / MANIFEST).read_text())
    if "source" not in manifest:
        raise UserError(
            f"{folder} was deployed by an earlier version, which did not note its commit: `make deploy` again, it takes seconds"
        )
    wrong = [name for name, digest in manifest["files"].items() if not (folder / name).is_file() or sha256(folder / name) != digest]
    if wrong:
        raise UserError(f"{folder} is not as it was deployed, in {', '.join(wrong)}: `make deploy` again")
    if odd := [name for name in manifest["files"] if fault_of_name(name)]:
        raise UserError(f"{folder} has files whose names no bundle can have: {', '.join(map(repr, odd))}")
    parity = json.loads((folder / "parity.json").read_text())
    if parity["verdict"]["state"] == "failed":
        raise UserError(f"{folder} is not released: its report failed in {', '.join(parity['verdict']['failed'])} (parity.html says why)")
    date = manifest["source"]["date"] if stated_date() is None else stated_date()
    if date is None:
        raise UserError("of when this release is, nothing tells: there is no checkout; set SOURCE_DATE_EPOCH, say to `date +%s`")
    return Release(folder, manifest, parity, version, date, signed)
