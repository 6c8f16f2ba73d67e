from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from export_specs.file_metadata import read_metadata
from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline.checkpoints.saving import save_network
from pipeline.export.float_onnx import export_float
from pipeline.networks.build import build_network
from tests.tiny import tiny_dptnet, tiny_sepformer


def small(**network: object) -> ModelSpec:
    spec = load_model("convtasnet")
    sizes = {"n_filters": 24, "bn_chan": 16, "hid_chan": 20, "skip_chan": 12, "n_blocks": 3, "n_repeats": 1, **network}
    return spec.model_copy(update={"segment_samples": 32 + 16 * 40, "network": spec.network.model_copy(update=sizes)})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return tmp_path / "float.safetensors"


@pytest.mark.parametrize(
    "network", [{}, {"causal": True}, {"mask_act": "sigmoid", "encoder_act": "relu"}, {"kernel_size": 40, "stride": 16}]
)
def test_onnxruntime_gives_what_torch_gives(tmp_path: Path, weights: Path, network: dict[str, object]) -> None:
    check(small(**network), tmp_path, weights)


@pytest.mark.parametrize("network", [{}, {"n_heads": 1, "chunk_size": 16, "n_layers": 2}])
def test_transformers_too(tmp_path: Path, weights: Path, network: dict[str, object]) -> None:
    check(tiny_sepformer(**network), tmp_path, weights)


@pytest.mark.parametrize("network", [{}, {"n_heads": 1, "chunk_size": 16, "hid_chan": 9}])
def test_recurrent_ones_too(tmp_path: Path, weights: Path, network: dict[str, object]) -> None:
    check(tiny_dptnet(**network), tmp_path, weights)


def check(spec: ModelSpec, tmp_path: Path, weights: Path) -> None:
    torch.manual_seed(0)
    kernel = spec.network.kernel_size
    samples = kernel + spec.network.stride * 40
    torch_network = build_network(spec).eval()
    for parameter in torch_network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    save_network(torch_network, weights, {})
    path = export_float(spec, weights, tmp_path / "float.onnx", samples)
    mixture = 0.3 * torch.randn(1, samples)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    result = session.run(None, {"mixture": mixture.numpy()})[0]
    with torch.no_grad():
        expected = torch_network(mixture).numpy()
    assert result.shape == (1, 2, samples)
    assert np.abs(result - expected).max() < 1e-5 * np.abs(expected).max() + 1e-6
    metadata = read_metadata(session.get_modelmeta().custom_metadata_map["fqss"], "the file")
    assert (metadata.sample_rate, metadata.front_end) == (8000, None)
