"""The folder that a user takes away: ``dist/<model>-<target>`` with the artefacts, the report and a manifest of digests."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError

MANIFEST = "manifest.json"


def check_place(out: Path) -> None:
    """Find out, before hours of work, whether the result can be put into ``out``.

    Raises:
        UserError: ``out`` is there and is no folder of such a result: it would be replaced.
        OSError: nothing can be written beside it.
    """
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not a folder that this command made; name another with OUT=")
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{out.name}-*"):  # by a run that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-"):
        pass


def write_distribution(out: Path, artefacts: Mapping[str, Path], report: Path, facts: Mapping[str, Any]) -> bool:
    """Put artefacts and report into ``out``, whole or not at all; an older folder of the same content is left alone.

    Args:
        artefacts: file name in ``out`` to its source.
        report: folder with the parity report's files, ``audio/`` and ``golden_vectors.npz``.
        facts: what else the manifest tells (parents' digests, versions of libraries, command).

    Returns:
        Whether anything was written.

    Raises:
        UserError, OSError: what :func:`check_place` raises, or the disk is full.
    """
    check_place(out)
    sources = {**{str(path.relative_to(report)): path for path in sorted(report.rglob("*")) if path.is_file()}, **artefacts}
    manifest = {
        **facts,
        "files": {name: sha256(path) for name, path in sorted(sources.items())},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    if (out / MANIFEST).is_file() and (out / MANIFEST).read_text() == text and all((out / name).is_file() for name in sources):
        return False
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        fresh = Path(name) / "new"
        for file, source in sources.items():
            (fresh / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, fresh / file)
        (fresh / MANIFEST).write_text(text)
        if out.exists():
            out.rename(Path(name) / "old")
        fresh.rename(out)
    return True
