"""docs/how-to/bring-a-network.md, followed from outside the package: a folder of one file, a YAML, and every stage knows the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline import networks
from pipeline.accounting.describe import describe
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import save_network
from pipeline.convert.convert import convert
from pipeline.export.float_onnx import export_float
from pipeline.export.qdq import export_qdq
from pipeline.networks.build import build_network
from pipeline.networks.specs import architectures
from pipeline.quantization.recipe import Recipe
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from tests.conformance.runtimes import exact_on_device, run_onnx
from tests.how_to.guide import block
from tests.tiny import mixtures, quantized_network, tiny_network


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the files that the guide says to write; the first of them stands where networks are looked for."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "one_layer").mkdir()
    (folder / "one_layer" / "__init__.py").write_text(block("bring-a-network.md", "python"))
    (folder / "one-layer.yaml").write_text(block("bring-a-network.md", "yaml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "__path__", [*networks.__path__, str(folder)])
        torch.compiler.set_stance("force_eager")
        yield folder
        torch.compiler.set_stance("default")
    sys.modules.pop("pipeline.networks.one_layer", None)


@pytest.fixture(scope="module")
def spec(written: Path) -> ModelSpec:
    return load_model(str(written / "one-layer.yaml"))


def test_two_files_add_a_network(written: Path, spec: ModelSpec) -> None:
    assert len([path for path in written.rglob("*") if path.suffix in (".py", ".yaml")]) == 2
    assert "one_layer" in architectures()
    assert describe(spec)["parameters"] == sum(weight.numel() for weight in build_network(spec).parameters())
    deployment = Deployment(Choice.of("", "tflite-int8", "quick", "", "", str(written / "one-layer.yaml")))
    assert deployment.quantized is not None and deployment.quantized.name.startswith("one-layer/")


def test_its_settings_are_checked_as_those_of_any_network(written: Path, tmp_path: Path) -> None:
    good = (written / "one-layer.yaml").read_text()
    for old, new, fault in (
        ("hidden: 48", "hiden: 48", r"network\.hiden: there is no such key; the keys here are hidden, kernel_size, n_filters, stride"),
        ("hidden: 48", "hidden: 0", r"network\.hidden: .*greater than 0"),
        ("one_layer", "two_layers", "unknown architecture 'two_layers'. Choose one of: .*one_layer"),
    ):
        (tmp_path / "bad.yaml").write_text(good.replace(old, new))
        with pytest.raises(UserError, match=fault):
            load_model(str(tmp_path / "bad.yaml"))


def test_the_files_compute_what_torch_does(spec: ModelSpec, tmp_path: Path) -> None:
    twin = quantized_network(spec, Recipe("fqss", "scalar-gain"))
    onnx, tflite = tmp_path / "model.qdq.onnx", tmp_path / "model.tflite"
    export_qdq(twin, FileMetadata.of(spec), onnx)
    convert(onnx, tflite)
    mixture = mixtures(spec, 1, 99)
    pcm = np.rint(mixture.numpy() * 32768).astype(np.int16)
    with torch.no_grad():
        expected = np.clip(np.rint(twin(torch.from_numpy(pcm / 32768).float()).double().numpy() * 32768), -32768, 32767)
    (found,) = run_onnx(onnx, {"pcm": pcm}).values()
    assert (np.abs(found - expected) > 0).mean() <= 0.002
    exact_on_device(tflite, pcm)


def test_its_float_form_goes_through_a_checkpoint_into_onnx(spec: ModelSpec, tmp_path: Path) -> None:
    network, copied = tiny_network(spec, 1).eval(), build_network(spec).eval()
    save_network(network, tmp_path / "float.safetensors", {})
    load_network(copied, tmp_path / "float.safetensors", spec)
    export_float(spec, tmp_path / "float.safetensors", tmp_path / "float.onnx")
    mixture = mixtures(spec, 1, 99)
    with torch.no_grad():
        expected = network(mixture).numpy()
        np.testing.assert_array_equal(copied(mixture).numpy(), expected)
    session = onnxruntime.InferenceSession(str(tmp_path / "float.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"mixture": mixture.numpy()})[0], expected, atol=1e-5)
