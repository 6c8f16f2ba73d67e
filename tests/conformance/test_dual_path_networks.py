"""A small SepFormer and a small DPTNet, from random weights to every runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_runtime.litert import LiteRtEngine
from edge_runtime.model_file import read_model
from edge_runtime.runtime import RUNTIMES, open_runtime
from export_specs.file_metadata import FileMetadata
from export_specs.load import load_model, load_target
from export_specs.schema import ModelSpec
from pipeline.convert import flatbuffer
from pipeline.convert.convert import ConversionSummary, convert
from pipeline.data.examples import training_examples
from pipeline.data.sources import training_files
from pipeline.export.qdq import export_qdq
from pipeline.networks.build import build_network
from pipeline.quantization.quantize import observe, quantize
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import TARGET, audited, deployed
from tests.conformance.runtimes import exact_on_device
from tests.tiny import quantized_network, tiny_dptnet, tiny_sepformer, waveforms
from validation.golden_inputs import forced_onnx, forced_tflite
from validation.layers import golden_taps, unlike_golden
from validation.structure import audit

PAIRS = 2  # of transformers
FIRST, LAST = "masknet.dual_mdl.0.intra_mdl.mdl.layers", "masknet.dual_mdl.1.inter_mdl.mdl.layers"
ROW, COLUMN = "separator.DPT.row_transformer.0", "separator.DPT.col_transformer.1.transformer"
DPTNET_OPS = {"SOFTMAX": 2 * PAIRS * 2, "WHILE": 2 * PAIRS, "TANH": 2 * PAIRS * 4 + 2, "LOGISTIC": 2 * PAIRS * 6 + 2}


@dataclass(frozen=True)
class Case:
    """A network of two pairs of transformers, some of the ops of its file and some of its tensors."""

    spec: Callable[[], ModelSpec]
    norm: str
    ops: dict[str, int]
    tensors: set[str]


CASES = {
    **{
        f"sepformer-{norm}": Case(
            tiny_sepformer,
            norm,
            {"SOFTMAX": 2 * PAIRS * 3, "TANH": 2, "LOGISTIC": 2},
            {f"{FIRST}.norm1", f"{FIRST}.self_att.heads/logits2", f"{LAST}.self_att.heads/weights0", "masknet.merge#1/total"},
        )
        for norm in ("scalar-gain", "int16-elementwise")
    },
    "dptnet-scalar-gain": Case(
        tiny_dptnet,
        "scalar-gain",
        DPTNET_OPS,
        {f"{ROW}.norm1.normalised", f"{COLUMN}.self_attn.heads/weights1", f"{ROW}.lstm", f"{COLUMN}.lstm", "separator.merge#1/total"},
    ),
    "dptnet-int16-elementwise": Case(tiny_dptnet, "int16-elementwise", DPTNET_OPS, {f"{ROW}.norm1.normalised", f"{COLUMN}.lstm"}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def twin(case: Case) -> nn.Module:
    torch.compiler.set_stance("force_eager")
    return quantized_network(case.spec(), Recipe("fqss", case.norm))


@pytest.fixture(scope="module")
def folder(case: Case, twin: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    export_qdq(twin, FileMetadata.of(case.spec()), folder / "model.qdq.onnx")
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> ConversionSummary:
    return convert(folder / "model.qdq.onnx", folder / "model.tflite", TARGET.allowed_ops)


def recording(seed: int) -> np.ndarray:
    return np.rint(waveforms(1, 800, seed)[0].numpy() * 32768).astype(np.int16)


def test_onnx_runtime_gives_what_torch_gives(twin: nn.Module, folder: Path) -> None:
    inner = open_runtime(folder / "model.qdq.onnx", "onnxruntime")
    for seed in (98, 99):
        pcm = recording(seed)
        with torch.no_grad():
            expected = np.clip(np.rint(twin(torch.from_numpy(pcm[None] / 32768).float())[0].double().numpy() * 32768), -32768, 32767)
        difference = np.abs(inner.run(pcm) - expected)
        assert (difference > 1).mean() <= 0.002  # sums in float32 come as near to ties as 2^-9 of a step of 16 bits
        assert (difference > 0).mean() <= 0.01


def test_file_is_integer_and_transposes_between_orders_of_chunks_alone(case: Case, summary: ConversionSummary) -> None:
    found = audit(summary.path, TARGET.allowed_ops)
    gates = audited(found, TARGET.transposes)
    assert len(gates) == 5 and set(gates.values()) == {"passed"}, gates
    assert summary.op_counts["TRANSPOSE"] == 2 * PAIRS
    assert case.ops.items() <= summary.op_counts.items()


def test_onnx_transposes_where_its_target_says(folder: Path) -> None:
    allowed = load_target("onnx-qdq").transposes
    found = audit(folder / "model.qdq.onnx", [])
    assert audited(found, allowed)["structure.transpose"] == "passed"
    other = found.model_copy(update={"transposed": [*found.transposed, "encoder/add"]})
    assert audited(other, allowed)["structure.transpose"] == "failed"


def test_every_inner_tensor_is_exact_on_devices(summary: ConversionSummary) -> None:
    for seed in (98, 99):
        exact_on_device(summary.path, recording(seed)[None])


@pytest.mark.parametrize("kernels", ["litert-ref", "litert-opt"])
def test_memory_that_is_still_read_is_not_overwritten(summary: ConversionSummary, kernels: str) -> None:
    """Outputs are the same whether tensors share memory or all are kept (docs/adr/0019-reshaped-memory.md)."""
    engine = LiteRtEngine(read_model(summary.path), kernels)
    pcm = [recording(98)[None]]
    for shared, kept in zip(engine.invoke(pcm), engine.invoke_with_taps(pcm)[0], strict=True):
        np.testing.assert_array_equal(shared, kept)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["sepformer", "dptnet"])
def test_edge_network_is_exact_on_devices_with_ranges_of_speech(model: str, tmp_path: Path) -> None:
    torch.compiler.set_stance("force_eager")
    spec = load_model(model)
    files, _ = training_files("embedded", spec.sample_rate, spec.task)
    *seen, heard = (mixture for mixture, _ in (training_examples(spec, files, spec.segment_samples, 4, 3, False)[i] for i in range(4)))
    torch.manual_seed(0)
    network = build_network(spec).eval()
    twin = quantize(network, Recipe("fqss", TARGET.norm_recipe))
    observe(twin, [mixture[None] for mixture in seen])
    file = deployed(twin, spec, tmp_path).path
    assert audit(file, TARGET.allowed_ops).float_tensors == []
    pcm = np.rint(heard.numpy() * 32768).clip(-32768, 32767).astype(np.int16)
    found = exact_on_device(file, pcm[None])["separated"].astype(float)
    with torch.no_grad():
        exact = network(torch.from_numpy(pcm[None] / 32768).float())[0].numpy() * 32768
    assert 10 * np.log10((exact**2).sum() / ((found.reshape(exact.shape) - exact) ** 2).sum()) > 15


def test_every_op_is_near_given_golden_inputs(case: Case, summary: ConversionSummary, folder: Path) -> None:
    clips = [recording(98)]
    golden = golden_taps(summary.path, clips, 8000)
    compared = [*forced_tflite(summary.path, clips), *forced_onnx(folder / "model.qdq.onnx", golden, clips)]
    assert max(comparison.max_lsb for comparison in compared) <= 1
    assert case.tensors <= {comparison.tensor for comparison in compared}


def test_every_runtime_is_close(summary: ConversionSummary, folder: Path) -> None:
    """Up to the masked features: the random decoder's waveform is small against what it is made of."""
    pcm = recording(99)
    for masked in ("mask_product", "mask_product#1"):
        taps = {}
        for name in RUNTIMES:
            opened = open_runtime(folder / "model.qdq.onnx" if name == "onnxruntime" else summary.path, name)
            taps[name] = opened.run_with_taps(pcm)[1][masked].astype(float) - int(opened.quantization[masked].zero_point[0])
        expected = taps["onnxruntime"]
        for name, codes in taps.items():
            assert 10 * np.log10((expected**2).sum() / max(((codes - expected) ** 2).sum(), 1e-9)) > 18, (name, masked)


def test_a_file_that_overwrites_its_memory_is_found(
    case: Case, folder: Path, summary: ConversionSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the copies a SepFormer's file is wrong; a DPTNet's has none."""
    clips = [recording(98)]
    assert unlike_golden(summary.path, clips, golden_taps(summary.path, clips, 8000), 8000) == []
    monkeypatch.setattr(flatbuffer, "overwriting", lambda operators, kept: [])
    broken = convert(folder / "model.qdq.onnx", folder / "broken.tflite", TARGET.allowed_ops).path
    assert unlike_golden(broken, clips, golden_taps(broken, clips, 8000), 8000) == (["clip 1"] if case.spec is tiny_sepformer else [])
