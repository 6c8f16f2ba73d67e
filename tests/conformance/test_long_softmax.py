"""Attention weights of more keys than an int8 softmax can hold: to int16 and onto a fine int8 grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from tests.conformance.case import Case
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite


def _case(keys: int, wide: bool, spread: int = 60) -> Case:
    case = Case(QdqGraph(), np.random.default_rng(0))
    g, shape = case.graph, (1, 1, 5, keys)
    weights = g.op("Softmax", g.dq(case.x("x", shape, low=-spread, high=spread), 0.02, 3), axis=-1)
    if wide:
        weights = g.dq(g.q(weights, 2**-16, -32768, "int16"), 2**-16, -32768, "int16")
    g.q(weights, *((4 / keys / 255 if wide else 1 / 256), -128), out="y")
    case.out("y", shape)
    return case


@pytest.mark.parametrize("spread", [0, 5, 60, 127])
@pytest.mark.parametrize("keys", [512, 700, 2688, 4095])
def test_weights_of_16_bits_agree_on_every_runtime(keys: int, spread: int, tmp_path: Path) -> None:
    """Equal on LiteRT's kernels and TFLM. 2688 keys are the paper's; of 4095 equal ones the sum is the largest that the kernels hold."""
    case = _case(keys, True, spread)
    convert(case.graph.save(tmp_path / "m.onnx", case.outputs), tmp_path / "m.tflite")
    expected = run_onnx(tmp_path / "m.onnx", case.inputs)["y"].astype(int)
    assert len(np.unique(expected)) > 10 if spread > 5 else expected.min() > -128
    results = {runtime: run_tflite(tmp_path / "m.tflite", runtime, case.inputs)["y"] for runtime in RUNTIMES}
    for runtime, result in results.items():
        assert np.abs(result - expected).max() <= 2, runtime
        np.testing.assert_array_equal(result, results["ref"], err_msg=runtime)


def test_int8_weights_of_as_many_keys_are_refused(tmp_path: Path) -> None:
    """LiteRT's reference kernel would end the process."""
    case = _case(700, wide=False)
    with pytest.raises(ConversionError, match="700 places to int8"):
        convert(case.graph.save(tmp_path / "m.onnx", case.outputs), tmp_path / "m.tflite")
