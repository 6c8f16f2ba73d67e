"""From the path of a checkpoint to its content. What kind of file it is, its content tells and not its name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from export_specs.foundation.errors import UserError
from export_specs.foundation.file_kind import true_kind
from pipeline.checkpoints.content import Content, content_of
from pipeline.checkpoints.onnx_weights import read_onnx_content
from pipeline.checkpoints.speechbrain_folder import read_hyperparameters
from pipeline.checkpoints.torch_files import read_torch_file

_WEIGHTS = (".safetensors", ".onnx", ".bin", ".ckpt", ".pt", ".pth", ".th", ".tar")
_HEADER_LENGTH = 8  # bytes of a safetensors file that tell how long its header is


def read_content(path: Path, parts: Iterable[str]) -> Content:
    """The tensors of a checkpoint and what it tells: a safetensors, torch or ONNX file, or SpeechBrain's folder with a file for each part.

    Args:
        parts: names of the network's outermost modules, after which the files of such a folder are named.

    Raises:
        UserError: missing, damaged, no checkpoint (and what it is instead), or a pickle that wants to run code.
    """
    if path.is_dir():
        return _read_folder(path, list(parts))
    try:
        kind = true_kind(path)
        with path.open("rb") as stream:
            head = stream.read(_HEADER_LENGTH + 1)
    except FileNotFoundError as error:
        raise UserError(f"the checkpoint {path} does not exist") from error
    except OSError as error:
        raise UserError(f"the checkpoint {path} cannot be read: {error.strerror}") from error
    if kind is not None and not kind.startswith("a zip archive"):
        raise UserError(f"{path} is no checkpoint: it is {kind}")
    if path.suffix == ".onnx":
        return read_onnx_content(path)
    if head[_HEADER_LENGTH:] == b"{" or path.suffix == ".safetensors":
        return _read_safetensors(path)
    return content_of(read_torch_file(path))


def _read_safetensors(path: Path) -> Content:
    try:
        with safe_open(path, "pt") as file:
            told = content_of({name: _decoded(text) for name, text in (file.metadata() or {}).items()}).told
            return Content({name: file.get_tensor(name) for name in file.keys()}, told)  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); copy it again") from error


def _decoded(text: str) -> object:
    """Metadata are strings; what is nested stands in them as JSON."""
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _read_folder(folder: Path, parts: list[str]) -> Content:
    files = {part: folder / f"{part}.ckpt" for part in parts}
    if not any(path.is_file() for path in files.values()):
        found = sorted(path.name for path in folder.iterdir() if path.suffix in _WEIGHTS)
        there = f"of its files name one: {', '.join(found[:8])}" if found else "and no other weights are in it"
        raise UserError(f"{folder} is a folder without {', '.join(path.name for path in files.values())} (SpeechBrain's); {there}")
    content = Content()
    for part, path in files.items():
        read = read_content(path, ())
        content.tensors.update({f"{part}.{key}": value for key, value in read.tensors.items()})
        content.told.extend(read.told)
    content.told.extend(read_hyperparameters(folder))
    return content
