from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export_specs.foundation.errors import UserError
from tests.validation.synthetic import RATE, make_item, write_set
from validation.config import StageConfig
from validation.evaluation_set import read_evaluation_set
from validation.stages import stage_outputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    items = [make_item(k, f"i{k}", "seen" if k < 4 else "unseen", samples=2000) for k in range(6)]
    return write_set(tmp_path / "set", items)


def test_reads_items_evenly_spread(folder: Path) -> None:
    data = read_evaluation_set(folder, 3)
    assert [item.id for item in data.items] == ["i0", "i2", "i4"]
    assert (data.total, data.manifest.synthetic, data.seconds) == (6, True, 0.75)
    assert len(read_evaluation_set(folder).items) == 6


def _edit(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["items"][0].update(changes)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 1999}, "2000 samples; its manifest means"),
        ({"mixture": "none.wav"}, "missing"),
        ({"mixture": "i1-mix.wav"}, "not the sum"),
        ({"id": "i1"}, "twice"),
        ({"samples": "many"}, "items.0.samples"),
    ],
)
def test_refuses_a_set_that_contradicts_itself(folder: Path, changes: dict[str, object], message: str) -> None:
    _edit(folder, **changes)
    with pytest.raises(UserError, match=message):
        read_evaluation_set(folder)


def test_refuses_other_formats_and_too_few(folder: Path) -> None:
    with pytest.raises(UserError, match="6 items, 7 are wanted"):
        read_evaluation_set(folder, 7)
    soundfile.write(folder / "i0-0.wav", np.zeros(2000), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="FLOAT"):
        read_evaluation_set(folder)
    (folder / "i0-0.wav").write_text("no audio")
    with pytest.raises(UserError, match="not audio"):
        read_evaluation_set(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        read_evaluation_set(folder)
    with pytest.raises(UserError, match="cannot read"):
        read_evaluation_set(folder / "nowhere")


def test_outputs_of_a_stage(folder: Path, tmp_path: Path) -> None:
    data = read_evaluation_set(folder)
    outputs = {item.id: item.sources for item in data.items}
    np.savez(tmp_path / "outputs-test.npz", **outputs)
    stage = StageConfig(name="fake", kind="outputs", path=tmp_path / "outputs-{set}.npz", items=2)
    found = stage_outputs(stage, data)
    assert list(found.estimates) == ["i0", "i1"] and found.seconds is None
    np.testing.assert_array_equal(found.estimates["i1"] * 32768, data.items[1].sources)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda outputs: outputs.pop("i1"), "lacks 1 of 6 items"),
        (lambda outputs: outputs.update(i1=outputs["i1"][:, 1:]), r"int16 \[2, 1999\]"),
        (lambda outputs: outputs.update(i1=np.full((2, 2000), np.nan, np.float32)), "NaN"),
        (lambda outputs: outputs.update(i1=outputs["i1"].astype(np.int32)), "int32"),
    ],
)
def test_refuses_unfit_outputs(folder: Path, tmp_path: Path, change: object, message: str) -> None:
    data = read_evaluation_set(folder)
    outputs = {item.id: item.sources for item in data.items}
    change(outputs)  # type: ignore[operator]
    np.savez(tmp_path / "o.npz", **outputs)
    with pytest.raises(UserError, match=message):
        stage_outputs(StageConfig(name="fake", kind="outputs", path=tmp_path / "o.npz"), data)


def test_missing_or_broken_outputs(folder: Path, tmp_path: Path) -> None:
    data = read_evaluation_set(folder)
    stage = StageConfig(name="fake", kind="outputs", path=tmp_path / "o.npz")
    with pytest.raises(UserError, match="missing"):
        stage_outputs(stage, data)
    stage.path.write_text("nothing")
    with pytest.raises(UserError, match="not an npz"):
        stage_outputs(stage, data)
