"""The comparison of an emulated processor with this computer: it counts what differs, says where it begins, and fails where it must not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge_runtime.model_file import Array, ModelFile
from edge_runtime.runtime import open_engine
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import SAMPLES, write_onnx_network, write_tflite_network
from tests.validation.synthetic import make_item, write_set
from validation import arm64
from validation.arm64 import agreement, table

CLIPS = [np.full(SAMPLES, level, np.int16) for level in (5000, -9000)]


def processor(monkeypatch: pytest.MonkeyPatch, runtime: str = "", codes: int = 0) -> list[str]:
    """An emulated processor that computes as this computer does, but for one sample of every clip but silence, in one runtime, which comes
    out by so many codes larger. Gives the processors that were asked for."""
    asked: list[str] = []

    class Engine:
        arena_bytes = None

        def __init__(self, file: ModelFile, kernels: str, threads: int = 1, cpu: str = "") -> None:
            asked.append(cpu)
            self._engine, self._codes = open_engine(file, kernels), codes if kernels == runtime else 0

        def invoke(self, tensors: Sequence[Array]) -> list[Array]:
            outputs = [np.array(output) for output in self._engine.invoke(tensors)]
            if np.any(tensors[0] < 0):
                outputs[0][0, 0, 0] += self._codes
            return outputs

        def invoke_with_taps(self, tensors: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
            outputs, taps = self._engine.invoke_with_taps(tensors)
            if self._codes:
                taps["d"] = np.array(taps["d"])
                taps["d"][0, 1, :3] ^= 1
                taps["e"] = taps["e"] + 1
            return outputs, taps

    monkeypatch.setattr(arm64, "Arm64Engine", Engine)
    monkeypatch.setattr(arm64, "make_prefix", lambda: None)
    return asked


def test_one_differing_sample_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write_tflite_network(tmp_path / "m.tflite")
    asked = processor(monkeypatch, "litert-ref", 3)
    found = agreement(path, "litert-ref", "cortex-a76", CLIPS, 8000)
    assert (found.clips, found.samples, found.differing, found.unlike, found.largest) == (2, 2 * 2 * SAMPLES, 1, 1, 3)
    assert found.first == f"'d', 3 of {2 * SAMPLES} values"
    outputs = np.stack([arm64.open_runtime(path, "litert-ref").run(clip) for clip in CLIPS]).astype(float)
    assert found.sqnr == pytest.approx(10 * np.log10(np.sum(outputs**2) / 9))
    assert asked == ["cortex-a76"]
    same = agreement(path, "litert-xnnpack", "cortex-a76", CLIPS, 8000)
    assert (same.differing, same.unlike, same.largest, same.first) == (0, 0, 0, "")
    header, first, second = table([found, same])
    assert first.split()[:7] == ["litert-ref", "cortex-a76", "2", "256", "1", "1", "3"] and first.endswith(found.first)
    assert second.split() == ["litert-xnnpack", "cortex-a76", "2", "256", "0", "0", "0", "—", "—"]
    assert header.index("differing") == second.index("0  ")


def run(folder: Path, *options: str) -> tuple[int, str]:
    """Exit code and table of the command on both kinds of file and two mixtures."""
    files = [str(write_tflite_network(folder / "m.tflite")), str(write_onnx_network(folder / "m.onnx"))]
    clips = write_set(folder / "test", [make_item(seed, f"m{seed}", samples=200) for seed in range(2)])
    done = CliRunner().invoke(arm64.app, [*files, "--clips", str(clips), "--mixtures", "2", *options])
    assert done.exception is None or isinstance(done.exception, UserError | SystemExit), done.exception
    return done.exit_code, f"{done.output}\n{done.exception}"


def test_every_runtime_runs_on_every_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processor(monkeypatch)
    code, told = run(tmp_path)
    rows = [line.split() for line in told.splitlines()[1:7]]
    assert code == 0
    assert [row[:2] for row in rows] == [
        [runtime, cpu] for runtime in ("litert-ref", "litert-xnnpack", "onnxruntime") for cpu in ("cortex-a72", "cortex-a76")
    ]
    assert {row[4] for row in rows} == {"0"} and {row[2] for row in rows} == {"2"}


@pytest.mark.parametrize(("runtime", "code"), [("litert-ref", 1), ("litert-xnnpack", 0), ("onnxruntime", 0)])
def test_reference_kernels_alone_must_be_the_same(runtime: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = processor(monkeypatch, runtime, 1)
    found, told = run(tmp_path, "--cpu", "cortex-a72")
    assert found == code
    assert set(asked) == {"cortex-a72"}
    assert ("reference kernels compute something else on cortex-a72 in 2 samples" in told) == bool(code)
    assert {line.split()[0]: line.split()[4] for line in told.splitlines()[1:4]}[runtime] == "2"


def test_a_wrong_choice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processor(monkeypatch)
    assert "Choose one of: all, cortex-a72, cortex-a76" in run(tmp_path, "--cpu", "cortex-m4")[1]
    assert "holds 2 items, 3 are wanted" in run(tmp_path, "--mixtures", "3")[1]
