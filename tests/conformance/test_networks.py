"""Pieces of a network as the exporter writes them, alone on every runtime: splitter, norms, the sum of the bytes; and a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_runtime.model_file import read_model
from edge_runtime.onnxruntime_adapter import OnnxRuntimeEngine
from export_specs.load import load_target
from pipeline.convert.convert import ConversionSummary, convert
from pipeline.export.qdq_graph import INT8, INT16, GraphBuilder, Value, tensor_info
from pipeline.layers.decoder.to_onnx import combine_bytes
from pipeline.layers.encoder.splitter import emit_splitter
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.recipes.convolved_sums import ConvolvedSumsNorm, emit_convolved_sums
from pipeline.layers.global_norm.recipes.int16_elementwise import Int16ElementwiseNorm, emit_int16_elementwise
from pipeline.layers.global_norm.recipes.runtime_filter import RuntimeFilterNorm, emit_runtime_filter
from pipeline.layers.global_norm.recipes.scalar_gain import ScalarGainNorm, emit_scalar_gain
from pipeline.layers.global_norm.two_scalars import TwoScalarsNorm
from pipeline.layers.quantized_norm import QuantizedNorm
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.quantize import set_observing
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import deployed
from tests.conformance.runtimes import NOT_IN_TFLITE, RUNTIMES, exact_on_device, run_onnx, run_tflite
from tests.tiny import mixtures, quantized_network, tiny_spec

NORMS: dict[str, tuple[type[QuantizedNorm], Callable[..., Value]]] = {
    "scalar gain": (ScalarGainNorm, emit_scalar_gain),
    "run-time filter": (RuntimeFilterNorm, emit_runtime_filter),
    "int16 elementwise": (Int16ElementwiseNorm, emit_int16_elementwise),
    "convolved sums": (ConvolvedSumsNorm, emit_convolved_sums),
}
INT8_RECIPES = ("runtime-filter", "scalar-gain")


def written(graph: GraphBuilder, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], folder: Path) -> ConversionSummary:
    """``alone.onnx`` and ``alone.tflite`` of the nodes in ``graph``."""
    onnx.save(graph.model("alone", inputs, outputs), folder / "alone.onnx")
    return convert(folder / "alone.onnx", folder / "alone.tflite")


def outputs_of(folder: Path, inputs: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The outputs on every runtime."""
    found = {runtime: run_tflite(folder / "alone.tflite", runtime, inputs) for runtime in RUNTIMES}
    return {"onnxruntime": run_onnx(folder / "alone.onnx", inputs), **found}


@pytest.mark.parametrize("shape", [(1, 65536), (1, 2, 65536)], ids=["mono", "stereo"])
def test_splitter_loses_no_sample(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Every one of the 65,536 samples has codes of its own, in each channel, and they are the same codes on every runtime."""
    every, channels = np.arange(-32768, 32768).astype(np.int16), 1 if len(shape) == 2 else shape[1]
    pcm = np.stack([np.roll(every, 777 * channel) for channel in range(channels)]).reshape(shape)
    graph = GraphBuilder()
    codes = emit_splitter(graph, Value("pcm", channels, every.size, sequences=1), np.float32(1 / 128), "splitter")
    graph.quantize(graph.read(codes), "codes", codes.grid(), 0)
    ends = tensor_info("pcm", INT16, list(shape)), tensor_info("codes", INT8, [1, codes.channels, every.size])
    written(graph, [ends[0]], [ends[1]], tmp_path)
    results = outputs_of(tmp_path, {"pcm": pcm})
    expected = results["onnxruntime"]["codes"][0]
    for runtime, found in results.items():
        np.testing.assert_array_equal(found["codes"][0], expected, err_msg=runtime)
    digits = expected.reshape(-1, channels, every.size)
    for channel in range(channels):
        of_sample = np.roll(digits[:, channel], -777 * channel, axis=-1)
        assert np.unique(of_sample, axis=1).shape[1] == every.size
        steps = np.diff(of_sample.astype(np.int64), axis=1)
        assert (steps[0] >= 0).all()  # the highest digit rises with the sample


@pytest.mark.parametrize("narrow_ends", [False, True], ids=["int32", "narrow"])
def test_sum_of_bytes_saturates_alike_over_all_pairs(narrow_ends: bool, tmp_path: Path) -> None:
    high, correction = (part.reshape(1, 1, -1).astype(np.int8) for part in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    graph, shape = GraphBuilder(narrow_ends=narrow_ends), [1, 1, high.size]
    outside = [graph.reshape(name, shape, f"{name}/waveform") for name in ("high", "correction")]
    combine_bytes(graph, outside, np.float32(0.00781), "sum")
    ends = [tensor_info(name, kind, shape) for name, kind in (("high", INT8), ("correction", INT8), ("sum", INT16))]
    written(graph, ends[:2], ends[2:], tmp_path)
    expected = np.clip(high.astype(int) * 256 + correction, -32768, 32767)
    for runtime, found in outputs_of(tmp_path, {"high": high, "correction": correction}).items():
        np.testing.assert_array_equal(found["sum"], expected, err_msg=runtime)


def observed_norm(kind: type[QuantizedNorm], channels: int, frames: int, offset: float) -> tuple[QuantizedNorm, ActivationQuantizer]:
    """A norm whose grids were observed on rectified noise of this offset, and the quantizer before it."""
    torch.manual_seed(channels)
    layer = GlobalLayerNorm(channels)
    if not issubclass(kind, TwoScalarsNorm):  # their affine part is folded into what follows
        with torch.no_grad():
            layer.gamma.uniform_(0.4, 1.4).mul_(torch.where(torch.rand(channels) < 0.3, -1.0, 1.0))
            layer.beta.normal_(0, 0.2)
    norm, before = kind(layer), ActivationQuantizer()
    norm.connect([before])
    both = nn.ModuleList([norm, before]).train()
    set_observing(both, True)
    for _ in range(12):
        norm(before(torch.nn.functional.leaky_relu(torch.randn(2, frames, channels), 0.25) + offset))
    set_observing(both, False)
    both.eval()
    return norm, before


@pytest.mark.parametrize("recipe", NORMS)
@pytest.mark.parametrize(("channels", "frames", "offset"), [(16, 61, 0.0), (33, 40, 0.7), (8, 128, -2.0)])
def test_norm_is_exact_on_devices_and_close_to_float(recipe: str, channels: int, frames: int, offset: float, tmp_path: Path) -> None:
    kind, emit = NORMS[recipe]
    norm, before = observed_norm(kind, channels, frames, offset)
    scale, zero_point = (value.item() for value in before.grid())
    graph = GraphBuilder()
    result = emit(graph, norm, [Value("x", channels, frames, np.float32(scale), int(zero_point))], "y")
    ends = [tensor_info(name, INT8, [1, channels, frames]) for name in "xy"]
    summary = written(graph, ends[:1], ends[1:], tmp_path)
    assert "TRANSPOSE" not in summary.op_counts
    assert summary.op_counts.get("RESHAPE", 0) == (2 if kind is ConvolvedSumsNorm else 0)  # of one value a frame
    torch.manual_seed(1)
    x = before(torch.nn.functional.leaky_relu(torch.randn(1, frames, channels), 0.25) + offset).detach()
    codes = np.ascontiguousarray(np.rint(x.numpy()[0].T / np.float32(scale) + zero_point).astype(np.int8)[None])
    results = outputs_of(tmp_path, {"x": codes})
    expected = results["onnxruntime"]["y"].astype(int)
    for runtime, found in results.items():
        difference = np.abs(found["y"] - expected)
        assert difference.max() <= 1, runtime
        # where the reference kernels' second rounding moves an int8 scalar by a code, a share of all values moves with it
        assert (difference > 0).mean() <= (0.3 if kind is ConvolvedSumsNorm else 0.03), runtime
    exact_on_device(tmp_path / "alone.tflite", np.ascontiguousarray(codes.transpose(0, 2, 1)[:, :, None, :]))
    with torch.no_grad():
        ideal = torch.nn.functional.group_norm(x.transpose(1, 2), 1)[0].numpy()
    if not isinstance(norm, TwoScalarsNorm):
        ideal = ideal * norm.gamma.detach().numpy()[:, None] + norm.beta.detach().numpy()[:, None]
    low, high = ((code - result.zero_point) * result.grid() for code in (-128, 127))
    got, clipped = (expected[0] - result.zero_point) * result.grid(), np.clip(ideal, low, high)
    assert 10 * np.log10((clipped**2).sum() / ((got - clipped) ** 2).sum()) > 28


@pytest.mark.parametrize("norm", ["scalar-gain", "runtime-filter", "int16-elementwise", "convolved-sums"])
def test_small_network_keeps_names_shapes_and_signal(norm: str, tmp_path: Path) -> None:
    torch.compiler.set_stance("force_eager")
    spec = tiny_spec()
    twin = quantized_network(spec, Recipe("fqss", norm))  # type: ignore[arg-type]
    summary = deployed(twin, spec, tmp_path, load_target("tflite-int8" if norm in INT8_RECIPES else "tflite-int8-npu"))
    assert "TRANSPOSE" not in summary.op_counts
    assert summary.inputs == {"pcm": (1, spec.segment_samples)}
    assert summary.outputs == {"separated": (1, 2, spec.segment_samples)}
    pcm = (mixtures(spec, 1, seed=4) * 32768).numpy().astype(np.int16)
    reference = exact_on_device(tmp_path / "model.tflite", pcm)
    _, golden = OnnxRuntimeEngine(read_model(tmp_path / "model.qdq.onnx")).invoke_with_taps([pcm])
    assert {name.rpartition("/")[2] for name in golden.keys() - reference.keys()} <= NOT_IN_TFLITE
    for name in golden.keys() & reference.keys():
        assert reference[name].shape == golden[name].shape, name
    expected = golden["separated"].astype(float)
    for runtime in RUNTIMES:
        error = run_tflite(tmp_path / "model.tflite", runtime, {"pcm": pcm})["separated"] - expected
        assert 10 * np.log10((expected**2).sum() / max((error**2).sum(), 1e-9)) > 10, runtime  # random weights
