"""A bundle, a folder or a tar of one, as a folder of plain files and no others; a hostile one is refused before anything of it is read."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export_specs.bundle import fault_of_name
from export_specs.foundation.errors import UserError

LIMIT = 2 << 30  # bytes of all files together
MOST_FILES = 100_000


@contextmanager
def opened_bundle(path: Path) -> Iterator[Path]:
    """The bundle's folder, of a tar a temporary one.

    Raises:
        UserError: nothing there; no bundle; links, devices, names that lead elsewhere, or more than LIMIT bytes.
    """
    if path.is_dir():
        _check_folder(path)
        yield path
        return
    if not path.is_file():
        raise UserError(f"{path} is not there: name a bundle that `fqss release` made, its folder or its tar")
    with tempfile.TemporaryDirectory(prefix="bundle-") as place:
        yield _unpacked(path, Path(place))


def _check_folder(folder: Path) -> None:
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = Path(here, name)
            if found.is_symlink() or not (found.is_dir() or found.is_file()):
                raise UserError(f"{folder} holds {_named(found, folder)!r}, a link or a device: no bundle has those")


def _named(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))


def _unpacked(path: Path, place: Path) -> Path:
    tops, seen, total = set[str](), set[str](), 0
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                top, _, name = entry.name.partition("/")
                if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise UserError(f"{path} holds {entry.name!r}, which is no plain file: no bundle has those")
                if fault := fault_of_name(entry.name) or ("" if name else "lies in no folder"):
                    raise UserError(f"{path} holds {entry.name!r}, which {fault}: nothing of it was written")
                if entry.name in seen:
                    raise UserError(f"{path} holds {entry.name!r} twice")
                tops.add(top)
                seen.add(entry.name)
                total += entry.size
                if len(tops) > 1 or total > LIMIT or len(seen) > MOST_FILES:
                    raise UserError(f"{path} is no bundle: it has several folders, more than {LIMIT >> 30} GiB or {MOST_FILES} files")
                _write(tar, entry, place / entry.name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"{path} is no tar of a bundle, or it is cut off ({error})") from error
    if not tops:
        raise UserError(f"{path} is empty")
    return place / tops.pop()


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(entry)
    if content is None:  # of regular files it is there
        raise ValueError(f"{entry.name} has no content")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            shutil.copyfileobj(content, stream)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ValueError(f"{entry.name} is a file and a folder") from error
