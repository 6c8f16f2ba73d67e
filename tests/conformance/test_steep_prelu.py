"""Steep PReLUs on one grid: MAXIMUM of the input and a product, which rounds once on every runtime. All slopes, all codes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from export_specs.schema import Rewrite
from pipeline.convert.convert import convert
from pipeline.convert.ops.leaky_relu import ONCE, STEEP
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.prelu.quantized import QuantizedPrelu
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite

TIE = -128  # the one code that a slope of n / 256 brings near a tie
ONCE_ROUNDING = {"": ("onnxruntime", "xnnpack"), "depthwise-products": ("onnxruntime",)}


def shipped_slopes() -> list[float]:
    """Every slope below 1/2 that training can leave."""
    slopes = {float(QuantizedPrelu(Prelu(init=n / 256)).slope()) for n in range(-129, 130, 2)}
    return sorted(slope for slope in slopes if abs(slope) < ONCE)


@pytest.mark.parametrize("rewrite", ["", "depthwise-products"])
@pytest.mark.parametrize(("scale", "zero_point"), [(0.0237, -100), (1.0, 0), (0.00391, 127), (3.3, 31)])
def test_every_runtime_rounds_once(scale: float, zero_point: int, rewrite: Rewrite | Literal[""], tmp_path: Path) -> None:
    """Slopes of 1/16 to 1/2; all, where products are convolutions."""
    slopes = [slope for slope in shipped_slopes() if rewrite or abs(slope) >= STEEP]
    assert len(slopes) == (128 if rewrite else 112)
    codes = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
    g = QdqGraph()
    x = g.dq(g.input("x", codes.shape), scale, zero_point)
    for place, slope in enumerate(slopes):
        g.q(g.op("LeakyRelu", x, alpha=slope), scale, zero_point, out=f"y{place}")
    source = g.save(tmp_path / "m.onnx", {f"y{place}": ("int8", codes.shape) for place in range(len(slopes))})
    summary = convert(source, tmp_path / "m.tflite", rewrites=[rewrite] if rewrite else [])
    assert summary.op_counts == {"DEPTHWISE_CONV_2D" if rewrite else "MUL": len(slopes), "MAXIMUM": len(slopes)}
    expected = {}
    for place, slope in enumerate(slopes):
        real = torch.arange(-128, 128).double() - zero_point
        rounded = torch.where(real > 0, real, real * slope).round() + zero_point
        expected[f"y{place}"] = rounded.clamp(-128, 127).numpy()
    found = {runtime: run_tflite(tmp_path / "m.tflite", runtime, {"x": codes}) for runtime in RUNTIMES}
    found["onnxruntime"] = run_onnx(source, {"x": codes})
    for place, slope in enumerate(slopes):
        name = f"y{place}"
        np.testing.assert_array_equal(found["ref"][name], found["tflm"][name])
        for runtime, outputs in found.items():
            off = np.flatnonzero(outputs[name].ravel() != expected[name]) - 128 - zero_point
            if runtime in ONCE_ROUNDING[rewrite] or abs(slope) < 0.25:
                assert off.size == 0, (runtime, slope, off)
            else:
                assert set(off) <= {TIE}, (runtime, slope, off)


@pytest.mark.parametrize(("alpha", "ops"), [(0.01, {"LEAKY_RELU": 1}), (0.6, {"LEAKY_RELU": 1}), (-0.3, {"MUL": 1, "MAXIMUM": 1})])
def test_other_slopes_stay_one_operator(alpha: float, ops: dict[str, int], tmp_path: Path) -> None:
    g = QdqGraph()
    g.q(g.op("LeakyRelu", g.dq(g.input("x", (1, 2, 8)), 0.1, 3), alpha=alpha), 0.1, 3, out="y")
    assert convert(g.save(tmp_path / "m.onnx", {"y": ("int8", (1, 2, 8))}), tmp_path / "m.tflite").op_counts == ops
