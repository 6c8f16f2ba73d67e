"""A machine without a C++ compiler or without Python's headers trains without torch.compile."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from pipeline.compiler import compiler_available


@pytest.mark.parametrize("compiler", [True, False])
@pytest.mark.parametrize("headers", [True, False])
def test_both_are_needed(compiler: bool, headers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if headers:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if compiler else None)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert compiler_available.__wrapped__() is (compiler and headers)
