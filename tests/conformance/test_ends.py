"""The 16-bit ends of a network on every runtime: all samples are kept apart, zeros are zeros, silence within a segment is silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_runtime.runtime import RUNTIMES, open_runtime
from export_specs.schema import ModelSpec
from pipeline.convert.convert import convert
from pipeline.export.qdq_graph import INT8, INT16, GraphBuilder, Value, tensor_info
from pipeline.layers.encoder.quantized import HIGH_COPIES, split
from pipeline.layers.encoder.splitter import emit_splitter
from pipeline.quantization.quantize import Recipe
from tests.conformance import runtimes
from tests.conformance.networks import TARGET, deployed
from tests.tiny import mixtures, quantized_network, tiny_dptnet, tiny_htdemucs, tiny_music_spec, tiny_sepformer, tiny_spec

NETWORKS: dict[str, Callable[[], ModelSpec]] = {
    "convtasnet": tiny_spec,
    "convtasnet-cut": lambda: tiny_spec(kernel_size=20, stride=12),  # of no whole number of strides
    "convtasnet-music": tiny_music_spec,
    "dptnet": tiny_dptnet,
    "sepformer": tiny_sepformer,
    "htdemucs": tiny_htdemucs,
}


@pytest.mark.parametrize("narrow_ends", [False, True], ids=["int32", "narrow"])
@pytest.mark.parametrize("shape", [(1, 65536), (1, 2, 32768), (1, 4, 64, 256)], ids=["mono", "stereo", "spectrogram"])
def test_splitter_keeps_all_values_apart(shape: tuple[int, ...], narrow_ends: bool, tmp_path: Path) -> None:
    """The digits are those of :func:`split` on every runtime."""
    pcm = np.arange(-32768, 32768).astype(np.int16).reshape(shape)
    channels = shape[1] if len(shape) > 2 else 1
    frames = pcm.size // channels
    graph = GraphBuilder(narrow_ends=narrow_ends)
    digits = emit_splitter(graph, Value("pcm", channels, frames, sequences=1), np.float32(1 / 128), "splitter")
    graph.quantize(graph.read(digits), "again", np.float32(1 / 128), 0)
    names = [tensor_info("pcm", INT16, list(shape))], [tensor_info("again", INT8, [1, digits.channels, frames])]
    onnx.save(graph.model("splitter", *names), tmp_path / "split.onnx")
    summary = convert(tmp_path / "split.onnx", tmp_path / "split.tflite")
    assert not narrow_ends or not {"CAST", "DIV", "MINIMUM"} & set(summary.op_counts)
    expected = torch.stack(split(torch.from_numpy(pcm).reshape(channels, frames) / 32768)).numpy() * 128
    results = {runtime: runtimes.run_tflite(tmp_path / "split.tflite", runtime, {"pcm": pcm}) for runtime in runtimes.RUNTIMES}
    results["onnxruntime"] = runtimes.run_onnx(tmp_path / "split.onnx", {"pcm": pcm})
    for runtime, found in results.items():
        *highs, middle, low = found["again"].astype(int).reshape(HIGH_COPIES + 2, channels, frames)
        np.testing.assert_array_equal([highs[0], middle, low], expected, err_msg=runtime)
        for high in highs:
            np.testing.assert_array_equal(high * 256 + middle * 16 + low, pcm.reshape(channels, frames), err_msg=runtime)


@pytest.fixture(scope="module", params=[(name, variant) for name in NETWORKS for variant in ("fqss", "vanilla")], ids="-".join)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelSpec, Path]:
    """A network whose weights, biases and ranges training has moved, and the folder of its files."""
    torch.compiler.set_stance("force_eager")
    name, variant = request.param
    spec = NETWORKS[name]()
    twin = quantized_network(spec, Recipe(variant, "scalar-gain"))
    _train_at_random(twin)
    folder = tmp_path_factory.mktemp(name)
    deployed(twin, spec, folder)
    return spec, folder


def _train_at_random(twin: nn.Module) -> None:
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape))
            else:
                parameter.mul_(1 + 0.05 * torch.randn(parameter.shape))


def _run(spec: ModelSpec, folder: Path, runtime: str, pcm: np.ndarray) -> np.ndarray:
    file = folder / ("model.qdq.onnx" if runtime == "onnxruntime" else "model.tflite")
    return open_runtime(file, runtime, sample_rate=spec.sample_rate).run(pcm)


def test_zeros_give_zeros(trained: tuple[ModelSpec, Path]) -> None:
    spec, folder = trained
    silence = np.zeros_like((mixtures(spec, 1)[0] * 32768).numpy().astype(np.int16))
    for runtime in RUNTIMES:
        assert not _run(spec, folder, runtime, silence).any(), runtime


def test_silence_within_a_segment_gives_zeros(trained: tuple[ModelSpec, Path]) -> None:
    """From one kernel after the last sample that is not 0, whatever the norms make of the rest: no feature is there to mask.

    HTDemucs has biases before its masks and the mean of its segment taken away, so its float network is not silent there either.
    """
    spec, folder = trained
    if spec.architecture == "htdemucs":
        pytest.skip("its float network answers silence within a segment")
    pcm = (mixtures(spec, 1, 9)[0] * 32768).numpy().astype(np.int16)
    end = pcm.shape[-1] // 2
    pcm[..., end:] = 0
    for runtime in RUNTIMES:
        separated = _run(spec, folder, runtime, pcm)
        assert separated[..., :end].any(), runtime
        assert not separated[..., end + spec.network.kernel_size :].any(), runtime  # type: ignore[union-attr]


@pytest.mark.parametrize("network", ["convtasnet", "convtasnet-music", "htdemucs"])
def test_narrow_ends_change_no_sample(network: str, tmp_path: Path) -> None:
    """Without int32 for samples, in TFLite and in ONNX, every runtime gives what it gives with it."""
    torch.compiler.set_stance("force_eager")
    spec = NETWORKS[network]()
    twin = quantized_network(spec, Recipe("fqss", "convolved-sums"))
    pcm = (mixtures(spec, 1, 9)[0] * 32768).numpy().astype(np.int16)
    counts = []
    for rewrites in ([], ["narrow-ends"]):
        folder = tmp_path / "_".join(["ends", *rewrites])
        folder.mkdir()
        counts.append(deployed(twin, spec, folder, TARGET.model_copy(update={"rewrites": rewrites})).op_counts)
    ends = 2 if network == "htdemucs" else 1  # it has a spectrogram and a waveform, and other norms in int32
    assert counts[0]["DIV"] - counts[1].get("DIV", 0) == 2 * ends
    assert counts[0]["CAST"] - counts[1].get("CAST", 0) >= 9 * ends
    for runtime in RUNTIMES:
        wide, narrow = (_run(spec, folder, runtime, pcm) for folder in sorted(tmp_path.iterdir()))
        assert wide.any(), runtime
        np.testing.assert_array_equal(narrow, wide, err_msg=runtime)
        assert not _run(spec, tmp_path / "ends_narrow-ends", runtime, np.zeros_like(pcm)).any(), runtime
