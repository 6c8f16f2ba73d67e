"""What a runtime gave is read again only where the runtime, and all else that it depends on, is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export_specs.foundation import code_version
from tests.validation.synthetic import make_item, write_set
from validation.config import StageConfig
from validation.evaluation_set import EvaluationSet, read_evaluation_set
from validation.stages import stage_outputs


@dataclass
class Machine:
    """A runtime of a version that counts its runs."""

    stage: StageConfig
    data: EvaluationSet
    cache: Path
    monkeypatch: pytest.MonkeyPatch
    runs: int = 0

    def run(self, **versions: str) -> float:
        """What the first item's first sample comes out as, with libraries of these versions."""
        original = code_version.version

        def separate(path: Path, runtime: str, clips: list[Any], *_: Any, **__: Any) -> Iterator[np.ndarray]:
            self.runs += 1
            return iter([np.full((2, len(clip)), self.runs, np.int16) for clip in clips])

        with self.monkeypatch.context() as patch:
            patch.setattr(code_version, "version", lambda name: versions.get(name) or original(name))
            patch.setattr("validation.stages.separate_many", separate)
            outputs = stage_outputs(self.stage, self.data, cache=self.cache)
        return float(outputs.estimates["x"][0, 0]) * 32768


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    write_set(tmp_path / "test", [make_item(0)])
    (tmp_path / "model.tflite").write_bytes(b"model")
    stage = StageConfig(name="litert-ref", kind="model", path=tmp_path / "model.tflite", runtime="litert-ref")
    return Machine(stage, read_evaluation_set(tmp_path / "test"), tmp_path / "cache", monkeypatch)


@pytest.mark.parametrize("library", ["ai-edge-litert", "tflite_micro", "onnxruntime", "numpy"])
def test_a_runtime_of_another_version_runs_again(machine: Machine, library: str) -> None:
    assert [machine.run(), machine.run()] == [1, 1]
    assert machine.run(**{library: "99.1"}) == 2
    assert machine.run() == 1  # what the version here gave is kept


def test_other_libraries_do_not_count(machine: Machine) -> None:
    """Those of metrics and of the report are not run here."""
    assert [machine.run(), machine.run(pystoi="99.1", Jinja2="99.1")] == [1, 1]


def test_changed_code_and_another_model_run_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run()
    with monkeypatch.context() as patch:
        patch.setattr("validation.stages.code_digest", lambda *_: "edited")
        assert machine.run() == 2
    machine.stage.path.write_bytes(b"another model")
    assert machine.run() == 3
