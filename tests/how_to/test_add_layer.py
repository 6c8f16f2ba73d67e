"""docs/how-to/add-a-layer.md, followed from outside the package: one file, and networks are quantized and exported with the new layer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.discovery import discovered_modules
from pipeline import layers
from pipeline.convert.convert import convert
from pipeline.export.float_onnx import float_graph
from pipeline.export.qdq import export_qdq
from pipeline.layers.decoder.float import Decoder
from pipeline.layers.encoder.float import Encoder
from pipeline.layers.pointwise import Pointwise
from pipeline.layers.registry import LAYERS
from pipeline.layers.sources import StackSources
from pipeline.networks.network import Network
from pipeline.quantization.quantize import observe, quantize
from pipeline.quantization.recipe import Recipe
from tests.conformance.runtimes import exact_on_device, run_onnx
from tests.how_to.guide import block
from tests.tiny import waveforms

SAMPLES = 800


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ModuleType]]:
    """The folder with the file that the guide says to write, and what the package finds in it."""
    folder = tmp_path_factory.mktemp("layers")
    (folder / "subtract.py").write_text(block("add-a-layer.md", "python"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "__path__", [*layers.__path__, str(folder)])
        found = {module.__name__: module for module in discovered_modules("pipeline.layers")}
        patch.delitem(sys.modules, "pipeline.layers.subtract")
        module = found["pipeline.layers.subtract"]
        LAYERS.add(module.SUBTRACT)
        torch.compiler.set_stance("force_eager")
        yield folder, module
        torch.compiler.set_stance("default")


class Difference(Network):
    """What one layer makes of the features, less what another one does."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.encoder, self.decoder, self.stack = Encoder(12, 16, 8, "relu"), Decoder(12, 16, 8), StackSources()
        self.left, self.right = Pointwise(12, 12), Pointwise(12, 12, activation="sigmoid")
        self.subtract = kind()

    def forward(self, mixture: Tensor) -> Tensor:
        features = self.encoder(mixture)
        source: Tensor = self.stack(self.decoder(self.subtract(self.left(features), self.right(features))))
        return source


@pytest.fixture(scope="module")
def network(written: tuple[Path, Any]) -> Network:
    torch.manual_seed(0)
    return Difference(written[1].Subtract).eval()


@pytest.fixture(scope="module")
def twin(network: Network) -> Network:
    made = quantize(network, Recipe("fqss", "scalar-gain"))
    observe(made, [waveforms(2, SAMPLES, seed) for seed in range(4)])
    return made.eval()


def test_one_file_adds_a_layer(written: tuple[Path, Any], twin: Network) -> None:
    assert len([path for path in written[0].rglob("*") if path.is_file() and path.suffix == ".py"]) == 1
    assert type(twin.get_submodule("subtract")) is written[1].QuantizedSubtract


def test_the_files_compute_what_torch_does(network: Network, twin: Network, tmp_path: Path) -> None:
    onnx, tflite = tmp_path / "model.qdq.onnx", tmp_path / "model.tflite"
    facts = {"model": "difference", "sample_rate": 8000, "segment_samples": SAMPLES, "sources": 1, "shortest_samples": 16}
    export_qdq(twin, FileMetadata.model_validate(facts), onnx)
    convert(onnx, tflite)
    pcm = np.rint(waveforms(1, SAMPLES, 99).numpy() * 32768).astype(np.int16)
    with torch.no_grad():
        expected = np.clip(np.rint(twin(torch.from_numpy(pcm / 32768).float()).double().numpy() * 32768), -32768, 32767)
        exact = network(torch.from_numpy(pcm / 32768).float()).numpy()
    (on_onnx,) = run_onnx(onnx, {"pcm": pcm}).values()
    assert (np.abs(on_onnx - expected) > 0).mean() <= 0.002
    assert exact_on_device(tflite, pcm)["subtract"].dtype == np.int8
    session = onnxruntime.InferenceSession(float_graph(network, SAMPLES, 1).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"mixture": (pcm / 32768).astype(np.float32)})[0], exact, atol=1e-5)
