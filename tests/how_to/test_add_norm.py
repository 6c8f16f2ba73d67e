"""docs/how-to/add-a-norm.md, followed from outside the package: one module, one line of a target, and every stage knows the recipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.discovery import discovered_modules
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.qdq import export_qdq
from pipeline.layers.global_norm import recipes
from pipeline.quantization.recipe import Recipe
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from tests.conformance.runtimes import exact_on_device, run_onnx
from tests.how_to.guide import block
from tests.tiny import quantized_network, tiny_spec, waveforms


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    """The folder with the files that the guide says to write, and the module that the package finds in it."""
    folder = tmp_path_factory.mktemp("norm")
    (folder / "frozen_gain.py").write_text(block("add-a-norm.md", "python"))
    (folder / "my-board.yaml").write_text(block("add-a-norm.md", "yaml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "__path__", [*recipes.__path__, str(folder)])
        found = {module.__name__: module for module in discovered_modules("pipeline.layers.global_norm.recipes")}
        module = found["pipeline.layers.global_norm.recipes.frozen_gain"]
        patch.delitem(sys.modules, module.__name__)
        patch.setitem(recipes.RECIPES, "frozen-gain", module.TWIN)
        torch.compiler.set_stance("force_eager")
        yield folder, module
        torch.compiler.set_stance("default")


def test_two_files_add_a_norm(written: tuple[Path, Any]) -> None:
    assert len([path for path in written[0].rglob("*") if path.suffix in (".py", ".yaml")]) == 2
    target = load_target(str(written[0] / "my-board.yaml"))
    deployment = Deployment(Choice.of("convtasnet", str(written[0] / "my-board.yaml"), "ptq", "", "", ""))
    assert deployment.quantized is not None
    assert deployment.quantized.settings["recipe"] == {"variant": "fqss", "norm": target.norm_recipe}


def test_the_files_compute_what_torch_does(written: tuple[Path, Any], tmp_path: Path) -> None:
    spec, target = tiny_spec(), load_target(str(written[0] / "my-board.yaml"))
    twin = quantized_network(spec, Recipe("fqss", target.norm_recipe))
    norms = [layer for layer in twin.modules() if isinstance(layer, written[1].FrozenGainNorm)]
    assert len(norms) == 5  # of the bottleneck and of two blocks
    onnx, tflite = tmp_path / "model.qdq.onnx", tmp_path / "model.tflite"
    export_qdq(twin, FileMetadata.of(spec), onnx)
    convert(onnx, tflite, target.allowed_ops)
    pcm = np.rint(waveforms(1, spec.segment_samples, 99).numpy() * 32768).astype(np.int16)
    with torch.no_grad():
        expected = np.clip(np.rint(twin(torch.from_numpy(pcm / 32768).float()).double().numpy() * 32768), -32768, 32767)
    (found,) = run_onnx(onnx, {"pcm": pcm}).values()
    assert (np.abs(found - expected) > 0).mean() <= 0.002
    exact_on_device(tflite, pcm)


def test_it_trains(written: tuple[Path, Any]) -> None:
    twin = quantized_network(tiny_spec(), Recipe("fqss", "frozen-gain")).train()
    twin(waveforms(2, 800, 5)).square().mean().backward()
    norm = next(layer for layer in twin.modules() if isinstance(layer, written[1].FrozenGainNorm))
    assert norm.gamma.grad is not None and bool(norm.gamma.grad.abs().sum() > 0)
