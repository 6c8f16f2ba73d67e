"""cLN alone and a small causal network, from torch to every runtime, loud, quiet and silent frames among the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edge_runtime.model_file import read_model
from edge_runtime.onnxruntime_adapter import OnnxRuntimeEngine
from edge_runtime.runtime import RUNTIMES, open_runtime
from export_specs.file_metadata import FileMetadata
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.qdq import export_qdq
from pipeline.export.qdq_graph import INT8, GraphBuilder, Value, tensor_info
from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.channel_norm.quantized import QuantizedChannelNorm
from pipeline.layers.channel_norm.to_onnx import emit_channel_norm
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer
from pipeline.quantization.recipe import Recipe
from tests.conformance import runtimes
from tests.conformance.case import scale, zero
from tests.conformance.runtimes import exact_on_device
from tests.tiny import quantized_network, tiny_spec, waveforms

Taps = dict[str, np.ndarray]
SEEDS = range(8)


def on_grid(step: float, zero_point: int) -> ActivationQuantizer:
    """A quantizer of a scale (to a 12-bit mantissa) and a zero point."""
    quantizer = ActivationQuantizer()
    with torch.no_grad():
        quantizer.minimum.fill_(step * (QMIN - zero_point))
        quantizer.maximum.fill_(step * (QMAX - zero_point))
    return quantizer


def random_norm(rng: np.random.Generator) -> tuple[QuantizedChannelNorm, np.ndarray]:
    """A norm of random size, grids and statistics, and codes [C, T]: frames of any level and mean, silent and full ones."""
    channels, frames = int(rng.integers(2, 160)), int(rng.integers(8, 60))
    norm, zero_point = QuantizedChannelNorm(ChannelLayerNorm(channels)), zero(rng)
    norm.connect([on_grid(scale(rng), zero_point)])
    norm.output_quantizer = on_grid(float(rng.uniform(0.02, 0.1)), zero(rng) if rng.integers(2) else -20)
    step = float(norm.input_scale())
    norm.deviation_low.fill_(-step * float(rng.uniform(1, 200)))
    norm.deviation_high.fill_(step * float(rng.uniform(1, 200)))
    level = 2 ** rng.uniform(-3, 7, frames)
    codes = rng.normal(size=(channels, frames)) * level + rng.uniform(-40, 40, frames) + zero_point
    codes[:, 0] = zero_point
    codes[:, 1] = rng.choice([QMIN, QMAX], channels)
    codes[:, 2], codes[:, 3] = QMIN, QMAX
    return norm.eval(), np.clip(np.rint(codes), QMIN, QMAX).astype(np.int8)


def written(norm: QuantizedChannelNorm, codes: np.ndarray, folder: Path) -> tuple[Path, Path]:
    """The norm alone as ONNX and TFLite file."""
    channels, frames = codes.shape
    step, zero_point = (float(value) for value in norm.input_quantizers[0].grid())
    graph = GraphBuilder()
    emit_channel_norm(graph, norm, [Value("x", channels, frames, np.float32(step), int(zero_point))], "y")
    ends = [tensor_info(name, INT8, [1, channels, frames]) for name in "xy"]
    onnx.save(graph.model("norm", ends[:1], ends[1:]), folder / "norm.onnx")
    summary = convert(folder / "norm.onnx", folder / "norm.tflite", load_target("tflite-int8").allowed_ops)
    assert not {"TRANSPOSE", "RESHAPE", "DIV"} & set(summary.op_counts)
    return folder / "norm.onnx", folder / "norm.tflite"


@pytest.mark.parametrize("seed", SEEDS)
def test_norm_of_the_file_is_that_of_torch(seed: int, tmp_path: Path) -> None:
    norm, codes = random_norm(np.random.default_rng(seed))
    source, _ = written(norm, codes, tmp_path)
    step, zero_point = (float(value) for value in norm.input_quantizers[0].grid())
    x = torch.from_numpy((codes.T.astype(np.float32) - np.float32(zero_point)) * np.float32(step))[None]
    with torch.no_grad():
        first, centred, second = (part[0].T.numpy() for part in norm.amplify(x, norm.constants()))
        out_scale, out_zero_point = (float(value) for value in norm.output_quantizer.grid())  # type: ignore[union-attr]
        y = np.rint(norm(x)[0].T.double().numpy() / out_scale) + out_zero_point
    _, golden = OnnxRuntimeEngine(read_model(source)).invoke_with_taps([codes[None]])
    np.testing.assert_array_equal(golden["y/amplification"][0], first)
    np.testing.assert_array_equal(golden["y/centred"][0], centred + float(norm.constants().zero_point))
    np.testing.assert_array_equal(golden["y/gain"][0], second + QMIN)
    assert np.abs(golden["y"][0] - y).max() <= 1
    assert (golden["y"][0] != y).mean() <= 0.001


def test_norm_is_exact_on_devices_and_close_on_every_runtime(tmp_path: Path) -> None:
    """A frame whose energy is near the edge of two gains may take the other one: then it is rounded elsewhere, by 2 codes at most."""
    wrong, total = dict.fromkeys(runtimes.RUNTIMES, 0), 0
    for seed in SEEDS:
        norm, codes = random_norm(np.random.default_rng(seed))
        source, tflite = written(norm, codes, tmp_path)
        _, golden = OnnxRuntimeEngine(read_model(source)).invoke_with_taps([codes[None]])
        reference = exact_on_device(tflite, np.ascontiguousarray(codes.T[None, :, None]))
        silent = reference["y"][0][:, [0, 2, 3]]
        assert (silent == int(norm.output_quantizer.grid()[1])).all()  # type: ignore[union-attr]
        for name in ("y/deviation/minus_mean", "y/deviation"):  # no rounding but of the mean, which is never a tie
            np.testing.assert_array_equal(reference[name], golden[name], err_msg=name)
        total += codes.size
        for runtime in runtimes.RUNTIMES:
            found = runtimes.run_tflite(tflite, runtime, {"x": codes[None]})["y"].astype(int)
            difference = np.abs(found - golden["y"])
            assert difference.max() <= 2, (seed, runtime)
            wrong[runtime] += int((difference > 0).sum())
    assert max(wrong.values()) <= 0.03 * total, {runtime: count / total for runtime, count in wrong.items()}


@pytest.fixture(scope="module", params=["layer", "frozen"])
def causal_files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("causal")
    torch.compiler.set_stance("force_eager")
    spec = tiny_spec(causal=True, norm=request.param)
    onnx_path, tflite = folder / "model.qdq.onnx", folder / "model.tflite"
    export_qdq(quantized_network(spec, Recipe("fqss", "scalar-gain")), FileMetadata.of(spec), onnx_path)
    torch.compiler.set_stance("default")
    for target in ("tflite-int8", "tflite-int8-npu"):
        summary = convert(onnx_path, tflite, load_target(target).allowed_ops)
    assert "TRANSPOSE" not in summary.op_counts
    return {name: onnx_path if name == "onnxruntime" else tflite for name in RUNTIMES}


def recording(seed: int) -> np.ndarray:
    return np.rint(waveforms(1, 800, seed)[0].numpy() * 32768).astype(np.int16)


def test_causal_network_on_every_runtime(causal_files: dict[str, Path]) -> None:
    pcm = recording(99)
    pcm[300:500] //= 256  # quiet enough for frames of a few codes
    opened = {name: open_runtime(path, name).run_with_taps(pcm) for name, path in causal_files.items()}
    _, reference = opened["litert-ref"]
    for name, codes in reference.items():
        np.testing.assert_array_equal(opened["tflm"][1][name].reshape(codes.shape), codes, err_msg=name)
    expected = opened["onnxruntime"][0].astype(float)
    for name, (output, _) in opened.items():
        assert 10 * np.log10((expected**2).sum() / max(((output - expected) ** 2).sum(), 1e-9)) > 20, name  # its last bits


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_causal_file_does_not_look_ahead(runtime: str, causal_files: dict[str, Path]) -> None:
    changed_at, kernel, stride = 400, 16, 8
    pcm, other = recording(5), recording(6)
    other[:changed_at] = pcm[:changed_at]
    (output, taps), (changed, changed_taps) = (open_runtime(causal_files[runtime], runtime).run_with_taps(value) for value in (pcm, other))
    frames = (changed_at - kernel) // stride + 1
    inside = {f"masker.TCN.{block}.shared_block.{place}" for block in range(2) for place in (1, 4)}
    bottleneck = {"masker.bottleneck.1", "masker.bottleneck"}  # it is the only layer there where the norm is frozen
    of_the_body = [name for name in taps if name in inside | bottleneck]
    assert len(of_the_body) == 5
    for name in of_the_body:
        np.testing.assert_array_equal(taps[name][..., :frames], changed_taps[name][..., :frames], err_msg=name)
    known = changed_at - 2 * kernel  # the frames of a sample, and those that the correction reads around it
    np.testing.assert_array_equal(output[:, :known], changed[:, :known])
    assert (output[:, changed_at:] != changed[:, changed_at:]).any()
