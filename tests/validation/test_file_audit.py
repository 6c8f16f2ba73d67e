"""The audit of any TFLite file: files written here operator by operator, each with one fault or none, and damaged bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge_runtime.__main__ import app as runtime_app
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import TfliteGraph, write_tflite_network
from validation.audit_command import audit, audit_lines
from validation.file_audit import FileAudit, audit_file
from validation.load_probe import delegated_operators, probe
from validation.runtime_operators import TFLM

GRID = (0.02, 3)


def convolution(graph: TfliteGraph, source: int, name: str, **faults: Any) -> int:
    """A pointwise int8 convolution of 2 channels; ``faults`` replace what is sound."""
    kind = {"dtype": np.int8, "weight_scale": [0.01, 0.02], "weight_zero": 0, "grid": GRID, "bias_scale": [2e-4, 4e-4]} | faults
    weights = graph.tensor(f"{name}/w", [2, 1, 1, 2], np.int8, kind["weight_scale"], kind["weight_zero"], data=np.ones((2, 1, 1, 2)))
    bias = graph.tensor(f"{name}/b", [2], np.int32, kind["bias_scale"], data=[1, 2])
    out = graph.tensor(name, [1, 1, 4, 2], kind["dtype"], *(kind["grid"] or ()))
    graph.operator("CONV_2D", [source, weights, bias], [out], "Conv2DOptions", strideH=1, strideW=1)
    return out


def plain(path: Path, **faults: Any) -> Path:
    graph = TfliteGraph()
    source = graph.tensor("x", [1, 1, 4, 2], np.int8, *GRID)
    return graph.write(path / "plain.tflite", [source], [convolution(graph, source, "y", **faults)])


def audited(path: Path) -> FileAudit:
    return audit_file(path, probed=False)


def test_a_sound_integer_file_passes(tmp_path: Path) -> None:
    found = audited(plain(tmp_path))
    assert (found.verdict, found.sound, found.fully_integer) == ("integer", True, True)
    assert (found.ops, found.dtypes) == ({"CONV_2D": 1}, {"int8": 3, "int32": 1})
    assert found.findings == [] and found.islands == [] and found.float_share == 0
    assert all(not runtime.left for runtime in found.runtimes)


@pytest.mark.parametrize(
    ("faults", "error", "told"),
    [
        ({"weight_zero": 4}, True, "weights of CONV_2D have a zero point"),
        ({"weight_scale": None}, True, "weights of CONV_2D have no scale"),
        ({"weight_scale": [0.01, -1.0]}, True, "a scale is not a positive number"),
        ({"weight_scale": [0.01, np.nan]}, True, "a scale is not a positive number"),
        ({"grid": (0.02, 300)}, True, "a zero point is no code of int8"),
        ({"grid": None}, True, "CONV_2D has no scale for its input or output"),
        ({"weight_scale": [0.01], "bias_scale": [2e-4]}, False, "weights of CONV_2D have one scale for all channels"),
        ({"bias_scale": [2e-4, 3e-4]}, False, "a bias of CONV_2D is not on the grid"),
        ({"bias_scale": [1.0, 1.0]}, None, ""),
    ],
    ids=["zero", "none", "negative", "nan", "beyond", "missing", "per-tensor", "bias", "accumulator"],
)
def test_each_fault_of_a_grid_is_found(faults: dict[str, Any], error: bool | None, told: str, tmp_path: Path) -> None:
    found = audited(plain(tmp_path, **faults))
    assert [finding.error for finding in found.findings if finding.what.startswith(told)] == ([] if error is None else [error])
    assert found.sound == (error is not True)


def test_float_operators_between_integers_are_an_island(tmp_path: Path) -> None:
    graph = TfliteGraph()
    source = graph.tensor("x", [1, 1, 4, 2], np.int8, *GRID)
    first = convolution(graph, source, "a")
    floats = [graph.tensor(name, [1, 1, 4, 2], np.float32) for name in ("f", "g")]
    graph.operator("DEQUANTIZE", [first], [floats[0]])
    graph.operator("EXP", [floats[0]], [floats[1]])
    back = graph.tensor("q", [1, 1, 4, 2], np.int8, *GRID)
    graph.operator("QUANTIZE", [floats[1]], [back])
    found = audited(graph.write(tmp_path / "island.tflite", [source], [convolution(graph, back, "y")]))
    assert (found.verdict, found.fully_integer) == ("integer with float islands", False)
    assert found.islands == [["DEQUANTIZE", "EXP", "QUANTIZE"]] and found.float_share == 3 / 5
    assert "  island of 3: DEQUANTIZE, EXP, QUANTIZE" in audit_lines(found)


def test_float_and_dynamic_range_are_told_apart(tmp_path: Path) -> None:
    for dtype, verdict in ((np.float32, "float"), (np.int8, "dynamic range")):
        graph = TfliteGraph()
        source, out = (graph.tensor(name, [1, 4], np.float32) for name in ("x", "y"))
        weights = graph.tensor("w", [4, 4], dtype, *([0.01] if dtype == np.int8 else []), data=np.ones((4, 4)))
        graph.operator("FULLY_CONNECTED", [source, weights], [out], "FullyConnectedOptions")
        found = audited(graph.write(tmp_path / "f.tflite", [source], [out]))
        assert (found.verdict, found.islands) == (verdict, [["FULLY_CONNECTED"]])


def test_kernels_with_a_grid_of_their_own_are_held_to_it(tmp_path: Path) -> None:
    for grid, faults in (((1 / 256, -128), 0), ((1 / 255, -128), 1), ((1 / 256, 0), 1)):
        graph = TfliteGraph()
        source, out = graph.tensor("x", [1, 4], np.int8, *GRID), graph.tensor("y", [1, 4], np.int8, *grid)
        graph.operator("LOGISTIC", [source], [out])
        found = audited(graph.write(tmp_path / "l.tflite", [source], [out]))
        assert len(found.findings) == faults, grid


def test_operators_that_runtimes_lack_are_named(tmp_path: Path) -> None:
    graph = TfliteGraph()
    tensors = [graph.tensor(name, [1, 4], np.int8, *GRID) for name in "xyz"]
    graph.operator("GELU", [tensors[0]], [tensors[1]])
    graph.operator("CUSTOM", [tensors[1]], [tensors[2]])
    graph.model.operatorCodes[-1].customCode = b"FlexErf"
    found = audited(graph.write(tmp_path / "c.tflite", [tensors[0]], [tensors[2]]))
    left = {runtime.runtime: runtime.left for runtime in found.runtimes}
    assert left["TFLM"] == {"GELU (not in the resolver)": 1, "CUSTOM:FlexErf (a custom operator that is not TFLM's own)": 1}
    assert left["Ethos-U"] == {"GELU (no such operator)": 1, "CUSTOM:FlexErf (no such operator)": 1}
    assert found.custom_ops == ["CUSTOM:FlexErf"] and not found.fully_integer
    graph.model.operatorCodes[-1].customCode = b"Flex\xff"
    assert audited(graph.write(tmp_path / "c.tflite", [tensors[0]], [tensors[2]])).custom_ops == ["CUSTOM:Flex\ufffd"]


def test_runtimes_say_themselves_what_they_load(tmp_path: Path) -> None:
    """The list of TFLM's operators beside its library, which is tried in another process."""
    graph = TfliteGraph()
    source, out = (graph.tensor(name, [1, 4], np.int8, *GRID) for name in "xy")
    graph.operator("GELU", [source], [out], "GeluOptions")
    path = graph.write(tmp_path / "g.tflite", [source], [out])
    assert "GELU" not in TFLM
    refused, loaded = probe(path, "TFLM"), probe(plain(tmp_path), "XNNPACK")
    assert refused.loaded is False and "GELU" in refused.problem
    assert (loaded.loaded, loaded.delegated) == (True, 1)


def test_delegated_operators_lie_between_the_ends_of_a_delegate() -> None:
    def op(name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
        return {"op_name": name, "inputs": inputs, "outputs": outputs}

    chain = [op("A", [0], [1]), op("B", [1, -1], [2]), op("C", [2], [3]), op("D", [3], [4])]
    assert delegated_operators([*chain, op("DELEGATE", [1], [3])]) == 2
    assert delegated_operators(chain) == 0


def test_the_command_fails_for_what_is_not_fully_integer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit(plain(tmp_path), as_json=True, probed=False)
    assert FileAudit.model_validate_json(capsys.readouterr().out).verdict == "integer"
    with pytest.raises(UserError, match="is not fully integer: weights of CONV_2D have a zero point"):
        audit(plain(tmp_path, weight_zero=4), as_json=False, probed=False)
    assert "verdict: integer, unsound" in capsys.readouterr().out


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_are_refused_or_judged(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    content = bytearray(write_tflite_network(folder / "whole.tflite").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "damaged.tflite"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        lines = audit_lines(audited(path))
    except UserError as error:
        lines = [str(error)]
    assert str(path) in lines[0]


def test_a_terminal_obeys_no_name_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_tflite_network(tmp_path / "net.tflite")
    content = file.read_bytes()
    assert content.count(b"separated") == 1
    file.write_bytes(content.replace(b"separated", b"sep\x1b[2J\nd"))
    audit(file, as_json=False, probed=False)
    told = capsys.readouterr().out
    assert "sep\\x1b[2J\\nd" in told and "\x1b" not in told
    main = CliRunner().invoke(runtime_app, ["info", str(file)])
    assert main.exit_code == 0 and "sep\\x1b[2J\\nd" in main.output and "\x1b" not in main.output
