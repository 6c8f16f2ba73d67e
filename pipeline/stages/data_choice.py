"""The data sets that DATA can name, and what identifies each."""

from __future__ import annotations

import hashlib
from pathlib import Path

from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError, choice_error
from export_specs.inheritance import is_file_name
from pipeline.data.embedded_stems import STEMS
from pipeline.data.sources import EMBEDDED, MUSIC_CHOICES, SPEECH_CHOICES
from pipeline.data.training_list import read_training_list

DEFAULT_DATA = "embedded"


def data_identity(name: str) -> str:
    """What changes when the data set does: a digest of the embedded files, or of the names, sizes and times of a user's files; of a list
    what changes when one of its settings or parts does.

    Raises:
        UserError: unknown name (the right ones are listed), or a folder that is not there.
    """
    kind, _, folder = name.partition(":")
    choices = SPEECH_CHOICES + MUSIC_CHOICES
    embedded = {DEFAULT_DATA: EMBEDDED, "embedded-stems": STEMS, "rendered-stems": EMBEDDED}  # whose vocals are of the embedded speech
    digest = hashlib.sha256(name.encode())
    if is_file_name(name):
        wanted = read_training_list(Path(name))
        digest.update("\n".join([wanted.model_dump_json(), *(data_identity(part.data) for part in wanted.parts)]).encode())
        if wanted.augmentation.noise is not None and wanted.augmentation.noise.recorded:
            digest.update(data_identity(f"folder:{wanted.augmentation.noise.recorded}").encode())
    elif name in embedded:
        for path in _files(embedded[name]):
            digest.update(f"{path.relative_to(embedded[name])} {sha256(path)}\n".encode())
    elif f"{kind}:DIR" in choices and folder:
        if not Path(folder).is_dir():
            raise UserError(f"DATA={name}: there is no folder {folder}")
        for path in _files(Path(folder)):
            status = path.stat()
            digest.update(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    elif name not in choices:
        raise choice_error("data set", name, choices)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
