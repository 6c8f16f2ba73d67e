"""A stereo network of four sources, from the fake-quantized twin in torch to every runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge_runtime.model_file import read_model
from edge_runtime.onnxruntime_adapter import OnnxRuntimeEngine
from edge_runtime.runtime import open_runtime
from export_specs.file_metadata import FileMetadata
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.float_onnx import float_graph
from pipeline.export.qdq import build_model
from pipeline.quantization.recipe import Recipe
from tests.conformance.runtimes import NOT_IN_TFLITE, exact_on_device
from tests.tiny import mixtures, quantized_network, recipe_name, tiny_music_spec, tiny_network

TARGETS = {"scalar-gain": "tflite-int8", "runtime-filter": "tflite-int8", "int16-elementwise": "tflite-int8-npu"}
RECIPES = [
    Recipe("fqss", "scalar-gain"),
    Recipe("fqss", "runtime-filter"),
    Recipe("fqss", "int16-elementwise"),
    Recipe("vanilla", "scalar-gain"),
]
SHAPES = {"pcm": (1, 2, 800), "separated": (1, 4, 2, 800)}


@pytest.mark.parametrize("recipe", RECIPES, ids=recipe_name)
def test_torch_onnx_and_tflite_agree(recipe: Recipe, tmp_path: Path) -> None:
    torch.compiler.set_stance("force_eager")
    spec = tiny_music_spec()
    network = quantized_network(spec, recipe)
    onnx.save(build_model(network, FileMetadata.of(spec)), tmp_path / "model.onnx")
    summary = convert(tmp_path / "model.onnx", tmp_path / "model.tflite", load_target(TARGETS[recipe.norm]).allowed_ops)
    assert "TRANSPOSE" not in summary.op_counts
    assert {**summary.inputs, **summary.outputs} == SHAPES
    file = read_model(tmp_path / "model.tflite")
    assert set(file.dtypes) <= {"int8", "int16", "int32"}

    mixture = mixtures(spec, 1, seed=78)
    pcm = (mixture * 32768).numpy().astype(np.int16)
    with torch.no_grad():
        expected = np.rint((network(mixture) * 32768).numpy()).clip(-32768, 32767)
    (output,), golden = OnnxRuntimeEngine(read_model(tmp_path / "model.onnx")).invoke_with_taps([pcm])
    difference = np.abs(output - expected)
    assert (difference > 1).mean() <= 0.002  # sums in float32 come as near to ties as 2^-9 of a step of 16 bits
    assert (difference > 0).mean() <= 0.01
    reference = exact_on_device(tmp_path / "model.tflite", pcm)
    assert {name.rpartition("/")[2] for name in golden.keys() - reference.keys()} <= NOT_IN_TFLITE
    for name in golden.keys() & reference.keys():
        assert reference[name].shape == golden[name].shape, name
    error = reference["separated"].astype(float) - output
    assert 10 * np.log10((output.astype(float) ** 2).sum() / (error**2).sum()) > 10  # random weights
    opened = open_runtime(tmp_path / "model.tflite", "litert-ref")
    assert opened.source_names == ("drums", "bass", "other", "vocals")
    np.testing.assert_array_equal(opened.run(pcm[0]), reference["separated"][0])


def test_float_network_in_onnx() -> None:
    spec = tiny_music_spec()
    network = tiny_network(spec).eval()
    model = float_graph(network, spec.segment_samples, spec.n_src)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    mixture = mixtures(spec, 1)
    with torch.no_grad():
        expected = network(mixture).numpy()
    np.testing.assert_allclose(session.run(None, {"mixture": mixture.numpy()})[0], expected, atol=1e-5 * np.abs(expected).max())
