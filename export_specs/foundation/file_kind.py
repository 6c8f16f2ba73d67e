"""What a file is by its first bytes, where it is not what its name says: the true reason, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

HEAD_BYTES = 4096
_SHOWN = 60
_PACKED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", "7z x"),
    b"Rar!": ("RAR", "unrar x"),
}
_CONTENTS = (  # where the bytes stand, the bytes, what they are the mark of
    (0, b"RIFF", "a RIFF file, as WAV audio is one"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"OggS", "an Ogg file"),
    (0, b"ID3", "MP3 audio"),
    (4, b"ftyp", "an MP4 file (m4a, mp4, mov)"),
    (0, b"\x30\x26\xb2\x75", "a Windows Media file (wma, asf)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska file (webm, mkv)"),
    (4, b"TFL3", "a TFLite model"),
    (0, b"\x89HDF", "an HDF5 file, as Keras writes them"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (257, b"ustar", "a tar archive: unpack it with tar -xf"),
    (0, b"PK\x03\x04", "a zip archive"),
)


def true_kind(path: Path) -> str | None:
    """What the file at ``path`` is, said so that "PATH is …" is a sentence that helps; None for bytes that tell nothing.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return kind_of(stream.read(HEAD_BYTES))


def kind_of(head: bytes) -> str | None:
    """As :func:`true_kind`, of the first ``HEAD_BYTES`` bytes of a file (all of them, if it has fewer)."""
    if not head:
        return "empty, of 0 bytes: copy or download it again"
    if head.startswith(b"version https://git-lfs.github.com/spec"):
        size = re.search(rb"\nsize (\d+)", head)
        told = f" of {int(size[1])} bytes" if size else ""
        return f"a pointer of Git LFS, not the file{told} that it points to: `git lfs pull` in its repository fetches that"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return (
            "a web page, not the file that the page offers: download it by the link of its own (the page may ask for a login or a licence)"
        )
    if start.startswith((b"<?xml", b"<error")):
        return f"an answer of a web server ({_beginning(head)}), not a file: download it again"
    for mark, (name, command) in _PACKED.items():
        if head.startswith(mark):
            return f"packed by {name}: unpack it first ({command})"
    for place, mark, name in _CONTENTS:
        if head[place : place + len(mark)] == mark:
            return name
    if not any(head):
        return "zeros from its beginning on, as a download leaves them that was broken off: download it again"
    if _is_text(head):
        return f"text ({_beginning(head)})"
    return None


def _beginning(head: bytes) -> str:
    """The first line, cut."""
    line = next((line for line in head.decode(errors="replace").splitlines() if line.strip()), "").strip()
    return f"'{line[:_SHOWN]}…'" if len(line) > _SHOWN else f"'{line}'"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # or else the cut went through a letter
            return False
        text = head[: error.start].decode()
    return bool(text.strip()) and all(letter.isprintable() or letter in "\t\r\n\f" for letter in text)
