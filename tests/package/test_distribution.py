"""The folder that a user takes away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from export_specs.foundation.errors import UserError
from pipeline.package.distribution import check_place, write_distribution


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report" / "audio").mkdir(parents=True)
    (tmp_path / "report" / "audio" / "a.flac").write_bytes(b"audio")
    return tmp_path / "report"


def test_written_once(report: Path, tmp_path: Path) -> None:
    out = tmp_path / "dist" / "model"
    assert write_distribution(out, {}, report, {"command": "x"})
    assert not write_distribution(out, {}, report, {"command": "x"})
    assert set(json.loads((out / "manifest.json").read_text())["files"]) == {"audio/a.flac"}
    assert write_distribution(out, {}, report, {"command": "y"})


@pytest.mark.parametrize("place", ["file", "full"])
def test_what_is_something_else_is_not_replaced(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(UserError, match="name another with OUT="):
        check_place(tmp_path / place)
    with pytest.raises((FileExistsError, NotADirectoryError)):
        check_place(tmp_path / "file" / "below")


def test_a_failed_write_leaves_the_older_result(report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "dist" / "model"
    write_distribution(out, {}, report, {"command": "x"})
    before = (out / "manifest.json").read_text()
    monkeypatch.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_distribution(out, {}, report, {"command": "y"})
    assert (out / "manifest.json").read_text() == before
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_what_a_killed_run_left_is_removed(report: Path, tmp_path: Path) -> None:
    out = tmp_path / "dist" / "model"
    (tmp_path / "dist" / ".model-x1" / "new").mkdir(parents=True)
    write_distribution(out, {}, report, {})
    assert [path.name for path in out.parent.iterdir()] == ["model"]
