"""Channels of samples that only convolutions of whole strides read are framed before they are joined; no code is changed by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.convert.convert import convert
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, run_onnx, run_tflite

TIME, STRIDE, FILTERS, CHANNELS = 48, 4, 3, 3
SCALE = 1 / 128
Outputs = dict[str, tuple[str, tuple[int, ...]]]


def _graph(kernels: tuple[int, ...], read_elsewhere: bool = False, padded: bool = False) -> tuple[QdqGraph, Outputs]:
    """Channels of a sample each joined twice over, and a convolution of each kernel."""
    rng = np.random.default_rng(0)
    g = QdqGraph()
    parts = [g.input(f"x{index}", (1, 1, TIME)) for index in range(CHANNELS)]
    joined = g.op("Concat", parts[0], *parts, axis=1, out="joined")
    outputs: Outputs = {}
    for number, kernel in enumerate(kernels):
        weight = rng.integers(-127, 128, (FILTERS, CHANNELS + 1, kernel)).astype(np.int8)
        pads = [kernel - 1, 0] if padded else [0, 0]
        made = g.op("Conv", g.dq(joined, SCALE, 0), g.weight(weight, np.full(FILTERS, 0.01)), strides=[STRIDE], pads=pads)
        g.q(made, 0.02, 3, out=f"y{number}")
        outputs[f"y{number}"] = ("int8", (1, FILTERS, (TIME + sum(pads) - kernel) // STRIDE + 1))
    if read_elsewhere:
        g.q(g.op("Add", g.dq(joined, SCALE, 0), g.dq(g.const(np.zeros((1, 1, 1), np.int8)), SCALE, 0)), SCALE, 0, out="again")
        outputs["again"] = ("int8", (1, CHANNELS + 1, TIME))
    return g, outputs


@pytest.mark.parametrize(
    ("kernels", "options", "joined_frames"),
    [
        ((8,), {}, True),
        ((4, 8), {}, True),  # both over the same frames
        ((6,), {}, False),  # no whole number of strides
        ((8, 6), {}, False),
        ((8,), {"padded": True}, False),
    ],
)
def test_no_code_is_changed(kernels: tuple[int, ...], options: dict[str, bool], joined_frames: bool, tmp_path: Path) -> None:
    graph, outputs = _graph(kernels, **options)
    source = graph.save(tmp_path / "m.onnx", outputs)
    counts = convert(source, tmp_path / "m.tflite").op_counts
    assert counts["CONCATENATION"] == 1 and counts["CONV_2D"] == len(kernels)
    whole_strides = {kernel for kernel in kernels if kernel % STRIDE == 0 and not options}
    assert counts.get("RESHAPE", 0) == (CHANNELS if joined_frames else len(whole_strides) and 1)
    rng = np.random.default_rng(1)
    inputs = {f"x{index}": rng.integers(-128, 128, (1, 1, TIME)).astype(np.int8) for index in range(CHANNELS)}
    graph, more = _graph(kernels, read_elsewhere=True, **options)  # where the joint is made
    convert(graph.save(tmp_path / "joint.onnx", more), tmp_path / "joint.tflite")
    for runtime in RUNTIMES:
        found, expected = (run_tflite(tmp_path / name, runtime, inputs) for name in ("m.tflite", "joint.tflite"))
        for name in outputs:
            assert len(np.unique(expected[name])) > 10
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{runtime} {name}")
    first, second = run_onnx(source, inputs)["y0"], run_tflite(tmp_path / "m.tflite", "ref", inputs)["y0"]
    assert np.abs(first.astype(int) - second).max() <= 1
