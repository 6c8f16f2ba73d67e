"""The stage that writes the C package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from export_specs.schema import TargetSpec
from pipeline.convert import builtin_operators as operators
from pipeline.stages.c_package import CLIPS, run
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from tests.c_int8.one_operator import Given, write_operator

SAMPLES = 40


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """A file of one addition with two int16 inputs, a waveform and a plane, and a test set of more mixtures than are needed."""
    rng = np.random.default_rng(0)
    (tmp_path / "tflite").mkdir()
    test = tmp_path / "evaluation" / "test"
    test.mkdir(parents=True)
    facts = FileMetadata(model="two-inputs", sample_rate=8000, segment_samples=SAMPLES, sources=2)
    grid = {"dtype": "int16", "scale": 2.0**-15}
    pair = [Given((1, SAMPLES), **grid), Given((2, SAMPLES), **grid)]
    write_operator(tmp_path / "tflite" / "model.tflite", operators.ADD, pair, [Given((2, SAMPLES), **grid)], facts, potScaleInt16=False)
    items = []
    for index in range(CLIPS + 2):
        pcm = rng.integers(-9000, 9000, SAMPLES - index, dtype=np.int16)  # all but the first end before the segment
        soundfile.write(test / f"{index}.wav", pcm, 8000, subtype="PCM_16")
        items.append({"id": str(index), "mixture": f"{index}.wav"})
    (test / "manifest.json").write_text(json.dumps({"items": items}))
    return {"tflite": tmp_path / "tflite", "evaluation": tmp_path / "evaluation"}


def test_golden_clips_are_the_first_mixtures(inputs: dict[str, Path], tmp_path: Path) -> None:
    run(tmp_path, {"segment_samples": SAMPLES}, inputs)
    text = (tmp_path / "device" / "golden.h").read_text()
    assert f"#define GOLDEN_CLIPS_MADE {CLIPS}" in text
    start = text.index("{", text.index("golden_input_1_0[]")) + 1
    found = [int(value) for value in text[start : text.index("}", start)].split(",")]
    mixture = soundfile.read(inputs["evaluation"] / "test" / "1.wav", dtype="int16")[0].tolist()
    assert found == [*mixture, 0]
    start = text.index("{", text.index("golden_input_1_1[]")) + 1
    assert [int(value) for value in text[start : text.index("}", start)].split(",")] == found * 2
    assert "two_inputs_run" in (tmp_path / "device" / "model.h").read_text()


def test_each_target_has_the_package_that_it_asks_for() -> None:
    names = ("c-int8", "tflite-int8", "onnx-qdq", "tflite-int8-ptq")
    packages = {target: Deployment(Choice.of("convtasnet", target, "full", "embedded", "", "")).package for target in names}
    assert packages["onnx-qdq"] is None and packages["tflite-int8-ptq"] is None
    for target, module in (("c-int8", "c_package"), ("tflite-int8", "tflm_kit")):
        stage = packages[target]
        assert stage is not None and stage.module == f"pipeline.stages.{module}"
        assert set(stage.parents) == {"tflite", "evaluation"}
        assert all(path.is_dir() for path in stage.files.values())


@pytest.mark.parametrize("target", ["c-int8", "tflite-int8"])
def test_the_package_of_a_network_that_streams_has_the_file_of_a_step(target: str) -> None:
    stage = Deployment(Choice.of("convtasnet-causal", target, "ptq", "embedded", "", "")).package
    assert stage is not None
    assert stage.parents["step"].results == ("model.stream.tflite",)
    assert not set(stage.parents) & set(stage.files), "a stage gets both by their names"


def test_a_package_of_a_foreign_file_is_refused() -> None:
    fields = load_target("tflite-int8-ptq").model_dump()
    with pytest.raises((ValueError, UserError), match="converter own makes"):
        TargetSpec.model_validate({**fields, "package": "c"})
