"""What the converter refuses: the message names the node, the reason and what would help, and no file appears."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export_specs.foundation.errors import UserError
from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from tests.conformance.qdq_graph import QdqGraph

SHAPE = (1, 4, 10)
S = 0.05


def _x(g: QdqGraph, zero: int = 3) -> str:
    return g.dq(g.input("x", SHAPE), S, zero)


def _float_island(g: QdqGraph) -> None:
    scaled = g.op("Mul", _x(g), g.const(np.float32(2)), out="scaled")
    g.q(g.op("LeakyRelu", scaled, out="active"), S, 0, out="y")


def _missing_quantizer(g: QdqGraph) -> None:
    active = g.op("LeakyRelu", _x(g), out="active")
    g.q(g.op("Sigmoid", active), 1 / 256, -128, out="y")


def _unsupported(g: QdqGraph) -> None:
    g.q(g.op("Erf", _x(g), out="erf"), S, 0, out="y")


def _sigmoid_grid(g: QdqGraph) -> None:
    g.q(g.op("Sigmoid", _x(g), out="gate"), 1 / 255, -128, out="y")


def _two_grids(g: QdqGraph) -> None:
    middle = g.q(g.op("LeakyRelu", _x(g)), S, 0, out="middle")
    g.q(g.op("LeakyRelu", g.dq(middle, 0.06, 0)), S, 0, out="y")


def _quantized_division(g: QdqGraph) -> None:
    x = _x(g)
    g.q(g.op("Div", x, x, out="ratio"), S, 0, out="y")


def _int32_from_add(g: QdqGraph) -> None:
    wide = g.op("Cast", g.input("x", SHAPE), to=6)
    g.q(g.dq(g.op("Add", wide, wide, out="sum"), S, 0, "int32"), S, 0, out="y")


def _int8_arithmetic(g: QdqGraph) -> None:
    x = g.input("x", SHAPE)
    g.op("Add", x, x, out="y")


def _bias_scale(g: QdqGraph) -> None:
    weight, scales = np.ones((4, 4, 1), np.int8), np.full(4, 0.01, np.float32)
    bias = g.weight(np.ones(4, np.int32), np.full(4, 0.3, np.float32))
    g.q(g.op("Conv", _x(g), g.weight(weight, scales), bias, out="conv"), S, 0, out="y")


def _asymmetric_weight(g: QdqGraph) -> None:
    weight = g.dq(g.const(np.ones((4, 4, 1), np.int8)), 0.01, 5)
    g.q(g.op("Conv", _x(g), weight, out="conv"), S, 0, out="y")


def _grouped(g: QdqGraph) -> None:
    weight = g.weight(np.ones((4, 2, 1), np.int8), np.full(4, 0.01, np.float32))
    g.q(g.op("Conv", _x(g), weight, group=2, out="conv"), S, 0, out="y")


def _reshape_inside(g: QdqGraph) -> None:
    reshaped = g.op("Reshape", g.input("x", SHAPE), g.const([1, 10, 4], np.int64), out="reshaped")
    g.q(g.op("LeakyRelu", g.dq(reshaped, S, 3)), S, 0, out="y")


def _run_time_table(g: QdqGraph) -> None:
    numbers = g.const(np.arange(9, dtype=np.int32))
    table = g.op("Cast", g.op("Add", numbers, numbers), to=3)
    g.op("Gather", table, g.op("Cast", g.input("x", SHAPE), to=6), out="y")


REFUSED: list[tuple[Callable[[QdqGraph], None], str, str]] = [
    (_float_island, "/scaled/Mul", "float initializer"),
    (_missing_quantizer, "/active/LeakyRelu", "add a QuantizeLinear"),
    (_unsupported, "/erf/Erf", "no integer lowering"),
    (_sigmoid_grid, "/gate/Sigmoid", "scale 1/256"),
    (_two_grids, "DequantizeLinear", "one scale and zero point"),
    (_quantized_division, "/ratio/Div", "reciprocal"),
    (_int32_from_add, "/y/QuantizeLinear", "Max"),
    (_int8_arithmetic, "/y/Add", "Cast its inputs to int32"),
    (_bias_scale, "/conv/Conv", "s_x * s_w"),
    (_asymmetric_weight, "/conv/Conv", "zero point"),
    (_grouped, "/conv/Conv", "2 groups"),
    (_run_time_table, "/y/Gather", "computed at run time"),
    (_reshape_inside, "/reshaped/Reshape", "transposed"),
]


@pytest.mark.parametrize(("build", "node", "reason"), REFUSED, ids=[item[0].__name__.strip("_") for item in REFUSED])
def test_refusal_names_node_and_help_and_writes_nothing(build: Callable[[QdqGraph], None], node: str, reason: str, tmp_path: Path) -> None:
    g = QdqGraph()
    build(g)
    shape = (1, 10, 4) if build is _reshape_inside else SHAPE
    source = g.save(tmp_path / "bad.onnx", {"y": ("int8", shape)})
    with pytest.raises(ConversionError) as caught:
        convert(source, tmp_path / "out" / "bad.tflite")
    message = str(caught.value)
    assert node in message
    assert reason in message
    assert "What would help" in message
    assert not list(tmp_path.rglob("*.tflite"))


def test_dynamic_shape(tmp_path: Path) -> None:
    g = QdqGraph()
    g.q(g.op("LeakyRelu", g.dq(g.input("x", (1, 4, "frames")), S, 3)), S, 0, out="y")
    source = g.save(tmp_path / "bad.onnx", {"y": ("int8", (1, 4, "frames"))})
    with pytest.raises(ConversionError, match=r"axis 2 \('frames'\) of 'x' is dynamic.*fixed"):
        convert(source, tmp_path / "bad.tflite")
    assert not (tmp_path / "bad.tflite").exists()


def test_float_input(tmp_path: Path) -> None:
    g = QdqGraph()
    g.q(g.input("x", SHAPE, "float32"), S, 0, out="y")
    source = g.save(tmp_path / "bad.onnx", {"y": ("int8", SHAPE)})
    with pytest.raises(ConversionError, match="int16 in and out"):
        convert(source, tmp_path / "bad.tflite")


def test_op_that_the_target_lacks(tmp_path: Path) -> None:
    g = QdqGraph()
    g.q(g.op("LeakyRelu", _x(g), out="active"), S, 0, out="y")
    source = g.save(tmp_path / "bad.onnx", {"y": ("int8", SHAPE)})
    with pytest.raises(ConversionError, match="needs the TFLite op LEAKY_RELU, which the target does not allow"):
        convert(source, tmp_path / "bad.tflite", allowed_ops=["ADD", "CONV_2D"])
    assert not (tmp_path / "bad.tflite").exists()


@pytest.mark.parametrize("content", [None, b"", b"this is no model", b"\x08\x07"])
def test_missing_or_damaged_file(content: bytes | None, tmp_path: Path) -> None:
    source = tmp_path / "bad.onnx"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.onnx"):
        convert(source, tmp_path / "bad.tflite")
    assert not (tmp_path / "bad.tflite").exists()
