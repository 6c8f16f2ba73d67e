"""Scales that XNNPACK does not take are refused for its targets, exactly where it leaves the operator to LiteRT."""

from __future__ import annotations

from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter

from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from tests.conformance.qdq_graph import QdqGraph

SHAPE = (1, 16, 128)
FOR_XNNPACK = ("litert-xnnpack",)


def _graph(op: str, ratio: float, shape: tuple[int, int, int]) -> QdqGraph:
    """An operator whose first input has ``ratio`` of the output's scale; of LeakyRelu the slope is the ratio."""
    g = QdqGraph()
    if op == "LeakyRelu":
        g.q(g.op(op, g.dq(g.input("a", shape), 0.051, 60), alpha=ratio, out="middle"), 0.05, 60, out="y")
        return g
    a, b = g.dq(g.input("a", shape), 0.05 * ratio, 3), g.dq(g.input("b", shape), 1.0 if op == "Mul" else 0.05, 0)
    g.q(g.op(op, a, b, out="middle"), 0.05, 3, out="y")
    return g


def _delegated(file: Path) -> bool:
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    return any(item["op_name"] == "DELEGATE" for item in interpreter._get_ops_details())


@pytest.mark.parametrize(
    ("op", "ratio"),
    [
        *((op, ratio) for op in ("Add", "Sub") for ratio in (2.0**-10 * 0.99, 2.0**-10 * 1.01, 1.0, 255.0, 257.0)),
        *(("Mul", ratio) for ratio in (2.0**-16 * 0.99, 2.0**-16 * 1.01, 255.0, 257.0)),
        *(("LeakyRelu", slope) for slope in (0.0035, 0.0042, 0.3, -0.0035, -0.3)),
    ],
)
def test_refused_is_what_xnnpack_does_not_take(op: str, ratio: float, tmp_path: Path) -> None:
    source = _graph(op, ratio, SHAPE).save(tmp_path / "m.onnx", {"y": ("int8", SHAPE)})
    convert(source, tmp_path / "m.tflite")
    if _delegated(tmp_path / "m.tflite"):
        convert(source, tmp_path / "fast.tflite", runtimes=FOR_XNNPACK)
        return
    with pytest.raises(ConversionError, match=f"'/middle/{op}'.*XNNPACK takes"):
        convert(source, tmp_path / "fast.tflite", runtimes=FOR_XNNPACK)
    assert not (tmp_path / "fast.tflite").exists()


def test_small_tensors_and_other_targets_are_left_alone(tmp_path: Path) -> None:
    small, large = (_graph("Sub", 1e-4, shape).save(tmp_path / f"{shape[1]}.onnx", {"y": ("int8", shape)}) for shape in ((1, 2, 8), SHAPE))
    assert convert(small, tmp_path / "m.tflite", runtimes=FOR_XNNPACK).op_counts == {"SUB": 1}
    assert convert(large, tmp_path / "m.tflite", runtimes=("litert-ref", "tflm")).op_counts == {"SUB": 1}
