"""Whole pieces of the network: norms, splitter, reconstructor, and a miniature network; every inner tensor is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.model_file import read_model
from edge_runtime.onnxruntime_adapter import OnnxRuntimeEngine
from export_specs.file_metadata import FileMetadata
from pipeline.convert.convert import convert
from tests.conformance.case import mantissa12
from tests.conformance.norms import NormParameters, add_b14, add_c23
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import RUNTIMES, exact_on_device, run_onnx, run_tflite

NORMS = {"c23": add_c23, "b14": add_b14}
OUTPUT_GRID = (0.045, -20)


def _activations(rng: np.random.Generator, channels: int, time: int, zero: int) -> np.ndarray:
    value = rng.normal(0, 38, (1, channels, time))
    return np.clip(np.rint(np.maximum(value, 0.25 * value) + zero), -128, 127).astype(np.int8)


@pytest.mark.parametrize("recipe", NORMS)
@pytest.mark.parametrize(("channels", "time", "zero"), [(16, 61, -90), (33, 40, 5), (8, 128, 127)])
def test_norm_is_exact_on_devices_and_close_to_float(recipe: str, channels: int, time: int, zero: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(channels)
    x = _activations(rng, channels, time, zero)
    parameters = NormParameters.calibrate(rng, x, 0.031, zero)
    g = QdqGraph()
    NORMS[recipe](g, g.input("x", x.shape), parameters, OUTPUT_GRID, "y")
    source = g.save(tmp_path / "norm.onnx", {"y": ("int8", x.shape)})
    summary = convert(source, tmp_path / "norm.tflite")
    assert not {"TRANSPOSE", "RESHAPE"} & set(summary.op_counts)
    expected = run_onnx(source, {"x": x})["y"].astype(int)
    for runtime in RUNTIMES:
        difference = np.abs(run_tflite(tmp_path / "norm.tflite", runtime, {"x": x})["y"] - expected)
        assert difference.max() <= 1, runtime
        assert (difference > 0).mean() <= 0.03, runtime
    exact_on_device(tmp_path / "norm.tflite", np.ascontiguousarray(x.transpose(0, 2, 1)[:, :, None, :]))
    q = x[0].astype(float) - zero
    ideal = (q - q.mean()) / q.std() * parameters.gamma[:, None] + parameters.beta[:, None]
    got = (expected[0] - OUTPUT_GRID[1]) * OUTPUT_GRID[0]
    clipped = np.clip(ideal, (-128 - OUTPUT_GRID[1]) * OUTPUT_GRID[0], (127 - OUTPUT_GRID[1]) * OUTPUT_GRID[0])
    assert 10 * np.log10((clipped**2).sum() / ((got - clipped) ** 2).sum()) > 28


def _add_splitter(g: QdqGraph, pcm: str, samples: int) -> str:
    """int16 [1, T] to int8 [1, 2, T] at 1/128: the high byte, and the low byte less 128."""
    wide = g.op("Cast", pcm, to=6)
    shifted = g.op("Add", wide, g.const(32768, np.int32))
    high = g.op("Div", shifted, g.const(256, np.int32))
    low = g.op("Sub", shifted, g.op("Mul", high, g.const(256, np.int32)))
    bytes_ = [g.op("Cast", g.op("Sub", part, g.const(128, np.int32)), to=3) for part in (high, low)]
    body = [g.op("Reshape", part, g.const([1, 1, samples], np.int64)) for part in bytes_]
    return g.op("Concat", *body, axis=1, out="bytes")


def _add_reconstructor(g: QdqGraph, high: str, correction: str, samples: int) -> str:
    """hi * 256 + correction * 2, saturated to int16; [1, 1, T] twice to [1, 1, T] outside the body."""
    outside = [g.op("Reshape", part, g.const([1, 1, samples], np.int64)) for part in (high, correction)]
    wide = g.op("Mul", g.op("Cast", outside[0], to=6), g.const(256, np.int32))
    total = g.op("Add", wide, g.op("Mul", g.op("Cast", outside[1], to=6), g.const(2, np.int32)))
    held = g.op("Max", g.op("Min", total, g.const(32767, np.int32)), g.const(-32768, np.int32))
    return g.op("Cast", held, to=5)


def test_splitter_is_lossless_over_all_values(tmp_path: Path) -> None:
    pcm = np.arange(-32768, 32768, dtype=np.int16)[None]
    g = QdqGraph()
    pair = _add_splitter(g, g.input("pcm", pcm.shape, "int16"), pcm.size)
    g.q(g.dq(pair, 1 / 128, 0), 1 / 128, 0, out="z")
    source = g.save(tmp_path / "split.onnx", {"bytes": ("int8", (1, 2, pcm.size))})
    convert(source, tmp_path / "split.tflite")
    for runtime in RUNTIMES:
        high, low = run_tflite(tmp_path / "split.tflite", runtime, {"pcm": pcm})["bytes"][0].astype(int)
        np.testing.assert_array_equal(high * 256 + low + 128, pcm[0], err_msg=runtime)
        np.testing.assert_array_equal(high, pcm[0] >> 8, err_msg=runtime)


def test_reconstructor_saturates_alike_over_all_pairs(tmp_path: Path) -> None:
    high, correction = (part.reshape(1, 1, -1).astype(np.int8) for part in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    samples = high.size
    g = QdqGraph()
    names = g.input("high", high.shape), g.input("correction", high.shape)
    g.op("Concat", *[_add_reconstructor(g, *names, samples) for _ in range(2)], axis=1, out="separated")
    source = g.save(tmp_path / "join.onnx", {"separated": ("int16", (1, 2, samples))})
    convert(source, tmp_path / "join.tflite")
    inputs = {"high": high, "correction": correction}
    expected = np.clip(high.astype(int) * 256 + correction.astype(int) * 2, -32768, 32767)[0]
    np.testing.assert_array_equal(run_onnx(source, inputs)["separated"][0], expected.repeat(2, 0))
    for runtime in RUNTIMES:
        np.testing.assert_array_equal(run_tflite(tmp_path / "join.tflite", runtime, inputs)["separated"][0], expected.repeat(2, 0), runtime)


def _miniature(recipe: str, samples: int, path: Path) -> Path:
    """Splitter, encoder, two blocks with norms, mask, shared decoder, int16 out for two sources; random weights."""
    rng, g = np.random.default_rng(3), QdqGraph()
    kernel, stride, filters, width = 8, 4, 12, 10
    frames = (samples - kernel) // stride + 1

    def weight(outputs: int, inputs: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
        scales = rng.uniform(0.6, 1.4, outputs).astype(np.float32) / np.float32(
            127 * np.sqrt(inputs * taps / 3)
        )  # output as large as input
        return rng.integers(-127, 128, (outputs, inputs, taps)).astype(np.int8), scales

    def conv(
        x: str, s_x: float, z_x: int, shape: tuple[int, int, int], out: tuple[float, int], relu: bool = False, **attributes: object
    ) -> str:
        codes, scales = weight(*shape)
        bias = g.weight(rng.integers(-2000, 2000, shape[0]).astype(np.int32), np.float32(s_x) * scales)
        y = g.op("Conv", g.dq(x, s_x, z_x), g.weight(codes, scales), bias, **attributes)
        return g.q(g.op("Relu", y) if relu else y, *out)

    pair = _add_splitter(g, g.input("pcm", (1, samples), "int16"), samples)
    encoded = conv(pair, 1 / 128, 0, (filters, 2, kernel), (0.02, -3), strides=[stride])
    trunk, grid = conv(encoded, 0.02, -3, (width, filters, 1), (0.04, 4)), (0.04, 4)
    for block in range(2):
        d = 2**block
        hidden = conv(trunk, *grid, (filters, width, 1), (0.05, 10))
        active = g.q(g.op("LeakyRelu", g.dq(hidden, 0.05, 10), alpha=0.25), mantissa12(0.031), -90)
        calibration = _activations(rng, filters, 50, -90)
        parameters = NormParameters.calibrate(rng, calibration, 0.031, -90)
        normed = NORMS[recipe](g, active, parameters, OUTPUT_GRID, f"norm{block}")
        depthwise = conv(
            normed, *OUTPUT_GRID, (filters, 1, 3), (0.03, 0), group=filters, dilations=[d], pads=[2 * d, 0] if block else [d, d]
        )
        residual = conv(depthwise, 0.03, 0, (width, filters, 1), (0.03, -2))
        trunk = g.q(g.op("Add", g.dq(trunk, *grid), g.dq(residual, 0.03, -2)), 0.05, 1)
        grid = (0.05, 1)
    mask = conv(trunk, *grid, (2 * filters, width, 1), (0.01, -128), relu=True)
    decoder, scale = weight(1, filters, kernel)
    codes = g.const(decoder.transpose(1, 0, 2).copy())
    waves = []
    for source in range(2):
        part = g.op("Slice", mask, *(g.const([v], np.int64) for v in (source * filters, (source + 1) * filters, 1)))
        masked = g.q(g.op("Mul", g.dq(encoded, 0.02, -3), g.dq(part, 0.01, -128)), 0.02, 2)
        high = g.q(g.op("ConvTranspose", g.dq(masked, 0.02, 2), g.dq(codes, scale, 0, axis=1), strides=[stride]), 1 / 128, 0)
        low = g.q(g.dq(high, 1 / 128, 0), 1 / 100, 0)
        waves.append(_add_reconstructor(g, high, low, samples))
    g.op("Concat", *waves, axis=1, out="separated")
    g.metadata = FileMetadata(model="mini", sample_rate=8000, segment_samples=samples, sources=2)
    assert (frames - 1) * stride + kernel == samples
    return g.save(path, {"separated": ("int16", (1, 2, samples))})


@pytest.mark.parametrize("recipe", NORMS)
def test_miniature_network(recipe: str, tmp_path: Path) -> None:
    samples = 256
    source = _miniature(recipe, samples, tmp_path / "mini.onnx")
    summary = convert(source, tmp_path / "mini.tflite")
    assert "TRANSPOSE" not in summary.op_counts
    assert summary.inputs == {"pcm": (1, samples)}
    assert summary.outputs == {"separated": (1, 2, samples)}
    pcm = np.random.default_rng(0).normal(0, 9000, (1, samples)).clip(-32768, 32767).astype(np.int16)
    reference = exact_on_device(tmp_path / "mini.tflite", pcm)
    _, golden = OnnxRuntimeEngine(read_model(source)).invoke_with_taps([pcm])
    assert reference.keys() >= golden.keys()
    for name, codes in golden.items():
        assert reference[name].shape == codes.shape, name
    expected = golden["separated"].astype(float)
    for runtime in RUNTIMES:
        error = run_tflite(tmp_path / "mini.tflite", runtime, {"pcm": pcm})["separated"] - expected
        assert 10 * np.log10((expected**2).sum() / max((error**2).sum(), 1e-9)) > 20, (
            runtime
        )  # random weights; the trained network is judged by validation
