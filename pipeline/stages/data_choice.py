"""The data sets that DATA can name, and what identifies each. Imports nothing heavy."""

from __future__ import annotations

import hashlib
from pathlib import Path

from export_specs.atomic import sha256
from export_specs.errors import UserError, choice_error
from pipeline.stages.code_version import ROOT

DEFAULT_DATA = "embedded"
NAMED = (DEFAULT_DATA, "debian-voices")
WITH_FOLDER = ("librimix", "folder")
EMBEDDED = ROOT / "data"


def data_identity(name: str) -> str:
    """What changes when the data set does: a digest of the embedded files, or of the names, sizes and times of a user's files.

    Raises:
        UserError: unknown name (the right ones are listed), or a folder that is not there.
    """
    kind, _, folder = name.partition(":")
    digest = hashlib.sha256(name.encode())
    if name == DEFAULT_DATA:
        for path in _files(EMBEDDED):
            digest.update(f"{path.relative_to(EMBEDDED)} {sha256(path)}\n".encode())
    elif kind in WITH_FOLDER and folder:
        if not Path(folder).is_dir():
            raise UserError(f"DATA={name}: there is no folder {folder}")
        for path in _files(Path(folder)):
            status = path.stat()
            digest.update(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    elif name not in NAMED:
        raise choice_error("data set", name, [*NAMED, *(f"{kind}:DIR" for kind in WITH_FOLDER)])
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
