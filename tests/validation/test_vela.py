"""Vela as an estimator: what its summary says, what it leaves to the CPU, what its failures are told as, and the gate on it."""

from __future__ import annotations

import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.model_file import read_model
from edge_runtime.tflite_file import operators_of
from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from pipeline.convert import builtin_operators as operators
from pipeline.convert.flatbuffer import FlatbufferBuilder
from tests.c_int8.one_operator import Given, write_operator
from tests.tiny import tiny_spec
from tests.validation.gates.judging import judge_each
from validation.gates.npu import NpuCompiled
from validation.vela import NpuEstimate, estimates

STAND_IN = """#!{python}
import shutil, sys
from pathlib import Path

arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
if {fails!r} and arguments["--accelerator-config"] == "ethos-u85-256":
    print("working")
    sys.exit("Error: a crash of the compiler")
out = Path(arguments["--output-dir"])
fields = dict(cycles_total=str(3e6 if "u55" in arguments["--accelerator-config"] else 1e6), inference_time="0.006", sram_memory_used="2.5",
              off_chip_flash_memory_used="4", system=arguments["--system-config"])
(out / "m_summary_x.csv").write_text(",".join(fields) + "\\n" + ",".join(fields.values()) + "\\n")
shutil.copyfile(sys.argv[1], out / "m_vela.tflite")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    grid = {"scale": 0.1}
    pair = [Given((1, 4), **grid), Given((1, 4), **grid)]
    return write_operator(tmp_path / "m.tflite", operators.ADD, pair, [Given((1, 4), **grid)])


def _install(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: bool = False) -> None:
    program = folder / "vela"
    program.write_text(STAND_IN.format(python=sys.executable, fails=fails))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_estimate_is_that_of_the_summary_and_the_rest_of_the_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, monkeypatch)
    first, second = estimates(file, ["u55-128", "u85-256"], 3.0)
    assert (first.npu, first.cycles, first.sram_bytes, first.flash_bytes) == ("u55-128", 3_000_000, 2560, 4096)
    assert first.ms_per_second == pytest.approx(2.0)
    assert first.file_bytes == file.stat().st_size and first.cpu_operators == {"ADD": 1} and first.problem is None
    assert second.cycles == 1_000_000


def test_what_vela_leaves_is_read_of_a_file_whose_metadata_no_longer_suit_it(tmp_path: Path) -> None:
    """Vela keeps them, while its one operator makes none of the tensors that they describe."""
    builder, grid = FlatbufferBuilder(), (np.array([0.5]), np.array([0]))
    x, y = (builder.tensor(name, (1, 4, 1, 2), np.int8, *grid) for name in "xy")
    builder.operator(operators.ADD, [x, x], [y], {})
    content = builder.finish({"x": x}, {"y": y}, "", FileMetadata.of(tiny_spec()))
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    model.subgraphs[0].operators = []
    packed = flatbuffers.Builder()
    packed.Finish(model.Pack(packed), b"TFL3")
    (tmp_path / "m.tflite").write_bytes(packed.Output())
    with pytest.raises(UserError, match="contradicts itself"):
        read_model(tmp_path / "m.tflite")
    assert not operators_of(bytes(packed.Output())) and operators_of(content) == {"ADD": 1}


def test_what_vela_crashes_on_is_told_with_its_words_and_fails_the_gate(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, monkeypatch, fails=True)
    found = estimates(file, ["u55-128", "u85-256"], 3.0)
    assert found[0].problem is None and found[1].problem == "Vela ended with 1: Error: a crash of the compiler"
    results = {result.id: result for result in judge_each(NpuCompiled, found)}
    assert results["resources.npu.u55-128"].state == "passed" and results["resources.npu.u55-128"].note == "ADD 1"
    assert results["resources.npu.u85-256"].state == "failed" and "a crash of the compiler" in results["resources.npu.u85-256"].note


def test_without_vela_nothing_was_run_and_that_is_said(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert estimates(file, [], 3.0) == []
    (found,) = estimates(file, ["u65-256"], 3.0)
    assert found.problem == "not run: there is no vela here (pip install ethos-u-vela)" and found.cycles is None


@pytest.mark.parametrize(("count", "state"), [(4, "passed"), (5, "failed")])
def test_operators_on_the_cpu_are_counted(count: int, state: str) -> None:
    found = NpuEstimate(npu="u55-128", cycles=1, cpu_operators={"CAST": count - 2, "DIV": 2})
    (result,) = judge_each(NpuCompiled, [found])
    assert (result.state, result.observed) == (state, count)
