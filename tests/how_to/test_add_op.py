"""docs/how-to/add-an-op.md, followed from outside the package: one file, and the converter lowers a new op."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from export_specs.foundation.discovery import discovered_modules
from pipeline.convert import ops
from pipeline.convert.convert import convert
from pipeline.convert.declaration import Declarations, collect
from pipeline.convert.errors import ConversionError
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import KERNELS, run_onnx, run_tflite

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-an-op.md"
CODES = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)


@pytest.fixture
def declarations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declarations:
    """The declarations with the file that the guide says to write in a folder of the package's."""
    (block,) = (part.split("```")[0] for part in GUIDE.read_text().split("```python\n")[1:])
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "abs.py").write_text(block)
    monkeypatch.setattr(ops, "__path__", [*ops.__path__, str(tmp_path / "ops")])
    found = collect(discovered_modules("pipeline.convert.ops"))
    monkeypatch.delitem(sys.modules, "pipeline.convert.ops.abs")
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    g = QdqGraph()
    g.q(g.op("Abs", g.dq(g.input("x", CODES.shape), 0.05, -20), out="magnitude"), 0.0613, -128, out="y")
    return g.save(tmp_path / "m.onnx", {"y": ("int8", CODES.shape)})


def test_one_file_adds_an_op(declarations: Declarations, source: Path, tmp_path: Path) -> None:
    assert convert(source, tmp_path / "m.tflite", declarations=declarations).op_counts == {"ABS": 1}
    assert declarations.in_graph.keys() - ops.DECLARATIONS.in_graph.keys() == {"Abs"}
    exact = np.abs(0.05 * (CODES.astype(np.float64) + 20)) / 0.0613 - 128
    np.testing.assert_array_equal(run_onnx(source, {"x": CODES})["y"], np.rint(exact).clip(-128, 127))
    for kernels in KERNELS:
        found = run_tflite(tmp_path / "m.tflite", kernels, {"x": CODES})["y"]
        assert np.abs(found - exact.clip(-128, 127)).max() <= 0.5 + 1e-6, kernels


def test_without_the_file_the_op_is_refused_by_name(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"'/magnitude/Abs' \(Abs\): there is no integer lowering for this op"):
        convert(source, tmp_path / "m.tflite")


def test_a_target_must_allow_the_operator(declarations: Declarations, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="needs the TFLite op ABS, which the target does not allow"):
        convert(source, tmp_path / "m.tflite", ["ADD"], declarations)
