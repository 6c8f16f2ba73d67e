"""A network with one output and a sigmoid mask, from random weights to every runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.runtime import RUNTIMES, open_runtime
from export_specs.file_metadata import FileMetadata
from pipeline.convert.convert import convert
from pipeline.export.qdq import export_qdq
from pipeline.quantization.recipe import Recipe
from tests.tiny import quantized_network, tiny_spec, waveforms


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("enhancement")
    spec = tiny_spec(n_src=1, mask_act="sigmoid")
    onnx, tflite = folder / "model.qdq.onnx", folder / "model.tflite"
    export_qdq(quantized_network(spec, Recipe("fqss", "runtime-filter")), FileMetadata.of(spec), onnx)
    summary = convert(onnx, tflite)
    assert summary.op_counts["LOGISTIC"] == 1
    assert summary.outputs == {"separated": (1, 1, spec.segment_samples)}
    return {name: onnx if name == "onnxruntime" else tflite for name in RUNTIMES}


def test_one_output_on_every_runtime(files: dict[str, Path]) -> None:
    spec = tiny_spec(n_src=1)
    pcm = np.rint(waveforms(1, spec.segment_samples, 99)[0].numpy() * 32768).astype(np.int16)
    outputs, taps = {}, {}
    for name, path in files.items():
        outputs[name], taps[name] = open_runtime(path, name).run_with_taps(pcm)
        assert outputs[name].shape == (1, spec.segment_samples)
    for name, codes in taps["litert-ref"].items():
        np.testing.assert_array_equal(taps["tflm"][name].reshape(codes.shape), codes, err_msg=name)
    mask = next(name for name in taps["litert-ref"] if name.endswith("mask_net.1"))
    for name in ("litert-ref", "litert-xnnpack"):
        difference = np.abs(taps[name][mask].astype(int) - taps["onnxruntime"][mask].astype(int))
        assert difference.mean() < 1, name  # of 256 steps of the mask; what the layers before it differ by included
