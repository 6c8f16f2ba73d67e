"""Results of LOGISTIC and TANH next to a tie differ from runtime to runtime; on grids that keep clear of ties all give the exact table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from pipeline.convert.convert import convert
from pipeline.layers.pointwise import Pointwise, QuantizedPointwise
from pipeline.quantization.ties import MARGIN, avoid_ties, tie_distance
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite

CODES = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
KERNELS = {"sigmoid": (256, -128, expit, logit), "tanh": (128, 0, np.tanh, np.arctanh)}


def codes_by_runtime(activation: str, scale: float, zero_point: int, folder: Path) -> dict[str, np.ndarray]:
    steps, zero, _, _ = KERNELS[activation]
    g = QdqGraph()
    g.q(g.op(activation.capitalize(), g.dq(g.input("x", CODES.shape), scale, zero_point)), 1 / steps, zero, out="y")
    source = g.save(folder / "op.onnx", {"y": ("int8", CODES.shape)})
    convert(source, folder / "op.tflite")
    found = {runtime: run_tflite(folder / "op.tflite", runtime, {"x": CODES})["y"].ravel() for runtime in RUNTIMES}
    return {**found, "onnxruntime": run_onnx(source, {"x": CODES})["y"].ravel()}


def exact(activation: str, scale: float, zero_point: int) -> np.ndarray:
    steps, zero, function, _ = KERNELS[activation]
    return np.clip(np.rint(steps * function(scale * (CODES.ravel() - float(zero_point)))) + zero, -128, 127)


@pytest.mark.parametrize("activation", KERNELS)
def test_kernels_are_exact_where_no_tie_is_near(activation: str, tmp_path: Path) -> None:
    rng, apart = np.random.default_rng(0), 0
    steps, _, _, inverse = KERNELS[activation]
    for _ in range(15):
        code, zero_point = int(rng.integers(30, 120)), int(rng.integers(-20, 20))
        tie = (int(rng.integers(steps * 0.7, steps * 0.95)) + 0.5) / steps
        scale = float(np.float32(inverse(tie) / (code - zero_point)))  # the code's result is the tie itself, as near as float32 comes
        found = codes_by_runtime(activation, scale, zero_point, tmp_path)
        apart += any(not np.array_equal(codes, found["tflm"]) for codes in found.values())
        layer = QuantizedPointwise(Pointwise(1, 1, activation=activation))
        with torch.no_grad():
            layer.input_quantizer.minimum.fill_((-128 - zero_point) * scale)
            layer.input_quantizer.maximum.fill_((127 - zero_point) * scale)
        avoid_ties(layer)
        grid = layer.input_quantizer.grid()
        assert tie_distance(*grid, activation) >= MARGIN
        settled = float(grid[0]), int(grid[1])
        for runtime, codes in codes_by_runtime(activation, *settled, tmp_path).items():
            np.testing.assert_array_equal(codes, exact(activation, *settled), err_msg=f"{runtime} {settled}")
    assert apart > 0, "no tie told the runtimes apart: the ranges need not be widened any more"
