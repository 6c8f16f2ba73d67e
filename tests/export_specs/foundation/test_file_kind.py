"""What a file is by its first bytes."""

from __future__ import annotations

import gzip
import re
import zipfile
from pathlib import Path

import pytest

from export_specs.foundation.file_kind import HEAD_BYTES, kind_of, true_kind


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"", "empty, of 0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 20403000\n", "the file of 20403000 bytes.*git lfs pull"),
        (b"\xef\xbb\xbf\r\n<!doctype HTML><html lang=en>", "a web page"),
        (b"<html><body>404", "a web page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an answer of a web server"),
        (b'{"error": "not found"}', "text .*not found"),
        (gzip.compress(b"x", mtime=0), "packed by gzip.*gunzip"),
        (b"\0" * 300, "zeros from its beginning on"),
        (b"\0\0\0 ftypM4A ", "an MP4 file"),
        (b"RIFF\0\0\0\0WAVE", "WAV audio"),
        ("grüße".encode()[:3], "text"),
        (b"x" * 500, r"text \('x{60}…'\)"),
    ],
)
def test_told(head: bytes, told: str) -> None:
    assert re.search(told, str(kind_of(head)))


@pytest.mark.parametrize("head", [b"\x80\x02}q\0.", b"\x08\x08\x12\x07pytorch", b"abc\0def", b"\xff\xfe\x00"])
def test_bytes_that_tell_nothing(head: bytes) -> None:
    assert kind_of(head) is None


def test_of_a_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "y")
    assert true_kind(tmp_path / "a.zip") == "a zip archive"
    (tmp_path / "long.txt").write_text("ü" * HEAD_BYTES)
    assert str(true_kind(tmp_path / "long.txt")).startswith("text")
