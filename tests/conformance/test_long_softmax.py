"""Attention weights of more keys than the int8 softmax can hold: through int16 and onto a fine int8 grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from tests.conformance.case import Case
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite

SHAPE = (1, 1, 5, 700)


def _case(wide: bool) -> Case:
    case = Case(QdqGraph(), np.random.default_rng(0))
    g, scale = case.graph, 0.02
    logits = g.dq(case.x("x", SHAPE, low=-60, high=60), scale, 3)
    if not wide:
        g.q(g.op("Softmax", logits, axis=-1), 1 / 256, -128, out="y")
    else:
        step = np.float32(scale) / np.float32(128)
        weights = g.op("Softmax", g.dq(g.q(logits, step, 0, "int16"), step, 0, "int16"), axis=-1)
        g.q(g.dq(g.q(weights, 2**-15, 0, "int16"), 2**-15, 0, "int16"), 0.006 / 255, -128, out="y")
    case.out("y", SHAPE)
    return case


def test_weights_of_16_bits_agree_on_every_runtime(tmp_path: Path) -> None:
    """Within 2 LSB of a grid twelve times as fine as the int8 softmax's; LiteRT and TFLM may be 1 LSB apart."""
    case = _case(wide=True)
    convert(case.graph.save(tmp_path / "m.onnx", case.outputs), tmp_path / "m.tflite")
    expected = run_onnx(tmp_path / "m.onnx", case.inputs)["y"].astype(int)
    assert expected.std() > 20
    results = {runtime: run_tflite(tmp_path / "m.tflite", runtime, case.inputs)["y"] for runtime in RUNTIMES}
    for runtime, result in results.items():
        assert np.abs(result - expected).max() <= 2, runtime
    assert np.abs(results["ref"].astype(int) - results["tflm"]).max() <= 1


def test_int8_weights_of_as_many_keys_are_refused(tmp_path: Path) -> None:
    """LiteRT's reference kernel would end the process."""
    case = _case(wide=False)
    with pytest.raises(ConversionError, match="700 places on int8"):
        convert(case.graph.save(tmp_path / "m.onnx", case.outputs), tmp_path / "m.tflite")
