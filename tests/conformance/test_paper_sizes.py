"""The paper's networks at full width and depth: random weights, segments short enough for a test, exact on devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge_runtime.runtime import open_runtime
from export_specs.load import load_model
from pipeline.networks.build import build_network
from pipeline.quantization.quantize import observe, quantize
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import TARGET, audited, deployed
from tests.conformance.runtimes import exact_on_device
from tests.tiny import mixtures
from validation.gates.file_size import FileSize, FileSizeSettings, Size
from validation.structure import audit

SAMPLES = {"convtasnet-paper": 4000, "convtasnet-music-paper": 4000, "dptnet-paper": 1000, "sepformer-paper": 2000, "htdemucs-paper": 16384}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "samples"), SAMPLES.items())
def test_paper_network_passes_structure_exact_and_bytes(model: str, samples: int, tmp_path: Path) -> None:
    torch.compiler.set_stance("force_eager")
    spec = load_model(model).model_copy(update={"segment_samples": samples})
    torch.manual_seed(0)
    network = build_network(spec).eval()
    twin = quantize(network, Recipe("fqss", TARGET.norm_recipe))
    observe(twin, [mixtures(spec, 1)])
    file = deployed(twin, spec, tmp_path).path

    found = audit(file, TARGET.allowed_ops)
    parameters = sum(weight.numel() for weight in network.parameters())
    gates = audited(found, TARGET.transposes)
    assert len(gates) == 5 and set(gates.values()) == {"passed"}, gates
    (size,) = FileSize().judge(Size(found.bytes, parameters, sum(found.ops.values())), FileSizeSettings(), "full")
    assert size.state == "passed", size

    pcm = (mixtures(spec, 1, 1)[0] * 32768).numpy().astype(np.int16)
    runtime = open_runtime(file, "litert-ref")
    exact_on_device(file, *runtime._signature.feed(pcm)[0])
