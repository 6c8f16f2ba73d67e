"""A small HTDemucs, from random weights to every runtime, PCM in and PCM out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_runtime.runtime import RUNTIMES, open_runtime
from edge_runtime.segments import separate
from export_specs.file_metadata import FileMetadata
from export_specs.load import load_target
from pipeline.convert.convert import ConversionSummary, convert
from pipeline.export.qdq import export_qdq
from pipeline.layers.attention.quantized import QuantizedCrossHeads
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import audited, deployed
from tests.conformance.runtimes import exact_on_device
from tests.tiny import mixtures, quantized_network, tiny_htdemucs
from validation.golden_inputs import forced_onnx, forced_tflite
from validation.layers import golden_taps
from validation.structure import audit

TARGETS = {"scalar-gain": "tflite-int8", "int16-elementwise": "tflite-int8-npu", "runtime-filter": "cortex-m"}
SPEC = tiny_htdemucs()


@pytest.fixture(scope="module", params=["scalar-gain", "int16-elementwise", pytest.param("runtime-filter", marks=pytest.mark.slow)])
def norm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def twin(norm: str) -> nn.Module:
    torch.compiler.set_stance("force_eager")
    return quantized_network(SPEC, Recipe("fqss", norm))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(twin: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("htdemucs")
    export_qdq(twin, FileMetadata.of(SPEC), folder / "model.qdq.onnx")
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path, norm: str) -> ConversionSummary:
    return convert(folder / "model.qdq.onnx", folder / "model.tflite", load_target(TARGETS[norm]).allowed_ops)


def recording(seed: int) -> np.ndarray:
    return (mixtures(SPEC, 1, seed)[0] * 32768).numpy().astype(np.int16)


def sqnr(expected: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10((expected.astype(float) ** 2).sum() / max(((got.astype(float) - expected) ** 2).sum(), 1e-9)))


def test_file_is_integer_without_a_transpose(summary: ConversionSummary, norm: str) -> None:
    found = audit(summary.path, load_target(TARGETS[norm]).allowed_ops)
    gates = audited(found, {})
    assert len(gates) == 5 and set(gates.values()) == {"passed"}, gates
    assert summary.inputs == {"spectrogram": (1, 4, 256, 13), "waveform": (1, 2, 1664)}
    assert summary.outputs == {"separated_spectrogram": (1, 16, 256, 13), "separated_waveform": (1, 8, 1664)}


def test_every_inner_tensor_is_exact_on_devices(summary: ConversionSummary) -> None:
    runtime = open_runtime(summary.path, "litert-ref")
    for seed in (98, 99):
        exact_on_device(summary.path, *runtime._signature.feed(recording(seed))[0])


def test_every_op_is_near_given_golden_inputs(summary: ConversionSummary, folder: Path) -> None:
    clips = [recording(98)]
    golden = golden_taps(summary.path, clips, 44100)
    compared = [*forced_tflite(summary.path, clips), *forced_onnx(folder / "model.qdq.onnx", golden, clips)]
    assert max(comparison.max_lsb for comparison in compared) <= 1
    names = {comparison.tensor for comparison in compared}
    assert {"encoder.0.conv.linear/plane", "decoder.1.conv_tr/correction/plane", "freq_emb/total"} <= names


def test_every_runtime_gives_the_pcm_of_torch(twin: nn.Module, summary: ConversionSummary, folder: Path) -> None:
    pcm = recording(99)
    with torch.no_grad():
        expected = np.rint(twin(torch.from_numpy(pcm[None] / 32768).float())[0].numpy() * 32768)
    for name in RUNTIMES:
        opened = open_runtime(folder / "model.qdq.onnx" if name == "onnxruntime" else summary.path, name)
        assert (opened.waveform, opened.sources) == ((2, 1664), 4)
        result = opened.run(pcm)
        assert result.dtype == np.int16 and result.shape == (4, 2, 1664)
        assert sqnr(expected, result) > (40 if name == "onnxruntime" else 12), name


def test_recordings_of_any_length_are_separated(summary: ConversionSummary) -> None:
    runtime = open_runtime(summary.path, "litert-xnnpack")
    pcm = np.concatenate([recording(seed) for seed in (1, 2, 3)], axis=1)[:, :3500]
    assert separate(runtime, pcm).shape == (4, 2, 3500)
    assert not separate(runtime, np.zeros_like(pcm)).any()


def test_attention_over_many_keys_is_exact_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the 2688 keys of the paper's segments: weights of 16 bits, then on a learned grid of int8."""
    torch.compiler.set_stance("force_eager")
    monkeypatch.setattr(QuantizedCrossHeads, "LONGEST", 10)
    twin = quantized_network(SPEC, Recipe("fqss", "scalar-gain"))
    file, pcm = deployed(twin, SPEC, tmp_path).path, recording(98)
    found = exact_on_device(file, *open_runtime(file, "litert-ref")._signature.feed(pcm)[0])
    assert found["crosstransformer.layers.0.self_attn.heads/wide_weights0"].dtype == np.int16
    with torch.no_grad():
        expected = np.rint(twin(torch.from_numpy(pcm[None] / 32768).float())[0].numpy() * 32768)
    assert sqnr(expected, open_runtime(tmp_path / "model.qdq.onnx", "onnxruntime").run(pcm)) > 40
