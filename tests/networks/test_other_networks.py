"""The paper's other networks against independent ones that hold the same weights, and their checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.networks.build import build_network
from pipeline.networks.convtasnet_music.spec import ConvTasNetMusicSpec
from pipeline.networks.dptnet.model import ImprovedTransformer
from pipeline.networks.dptnet.spec import DptNetSpec
from pipeline.networks.htdemucs.spec import HtDemucsSpec
from pipeline.networks.sepformer.spec import SepFormerSpec
from tests.networks.demucs_reference import htdemucs
from tests.networks.speechbrain_reference import sepformer
from tests.networks.torch_references import ConvTasNetMusicReference, DptNetReference

SMALL: dict[str, dict[str, Any]] = {
    "convtasnet-music": {"n_filters": 12, "kernel_size": 20, "stride": 10, "bn_chan": 10, "hid_chan": 14, "n_blocks": 3, "n_repeats": 2},
    "dptnet": {"n_filters": 12, "kernel_size": 4, "stride": 2, "bn_chan": 8, "hid_chan": 6, "n_heads": 2, "chunk_size": 10, "n_repeats": 2},
    "sepformer": {
        "n_filters": 12,
        "kernel_size": 8,
        "stride": 4,
        "chunk_size": 10,
        "n_heads": 3,
        "n_layers": 2,
        "ffn_chan": 16,
        "n_repeats": 2,
    },
}
SMALL_HTDEMUCS: dict[str, Any] = {
    "channels": 8,
    "nfft": 512,
    "depth": 2,
    "kernel_size": 8,
    "stride": 4,
    "bottom_channels": 16,
    "t_layers": 3,
    "t_heads": 2,
    "t_hidden_scale": 2.0,
}
TOLERANCE = 1e-4  # of the output's peak


def small(model: str) -> ModelSpec:
    fields = load_model(model).model_dump()
    network = SMALL[model]
    return ModelSpec.model_validate({**fields, "network": network, "segment_samples": network["kernel_size"] + 100 * network["stride"]})


def reference_of(spec: ModelSpec) -> nn.Module:
    torch.manual_seed(0)
    reference: nn.Module
    match spec.network:
        case ConvTasNetMusicSpec() as net:
            reference = ConvTasNetMusicReference(net, spec.n_src)
        case DptNetSpec() as net:
            reference = DptNetReference(net, spec.n_src)
        case SepFormerSpec() as net:
            reference = sepformer(net, spec.n_src)
        case HtDemucsSpec() as net:
            reference = htdemucs(net, spec.n_src, spec.segment_samples)
    for parameter in reference.parameters():  # norms, slopes and biases away from their defaults
        if parameter.dim() == 1 or parameter.shape[0] == 1:
            nn.init.uniform_(parameter, 0.1, 0.9)
    return reference.eval()


def difference(got: Tensor, expected: Tensor) -> float:
    assert got.shape == expected.shape
    return float((got - expected).abs().max() / expected.abs().max())


def check_equality(spec: ModelSpec, samples: int, tmp_path: Path) -> None:
    reference, network = reference_of(spec), build_network(spec).eval()
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    load_network(network, tmp_path / "weights.pth", spec)
    mixture = torch.randn((1, 2, samples) if hasattr(spec.network, "audio_channels") else (2, samples))
    with torch.no_grad():
        expected, got = reference(mixture), network(mixture)
    assert difference(got, expected.permute(0, 2, 1) if spec.architecture == "sepformer" else expected) <= TOLERANCE


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("dptnet-paper", 2_834_945), ("sepformer-paper", 25_679_361), ("convtasnet-music-paper", 10_977_872), ("htdemucs-paper", 41_984_456)],
)
def test_number_of_parameters(model: str, parameters: int) -> None:
    with torch.device("meta"):
        network = build_network(load_model(model))
    assert sum(weight.numel() for weight in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("model", "limit"), [("dptnet", 500_000), ("sepformer", 500_000), ("convtasnet-music", 2_000_000), ("htdemucs", 2_000_000)]
)
def test_edge_network_is_small(model: str, limit: int) -> None:
    with torch.device("meta"):
        network = build_network(load_model(model))
    assert sum(weight.numel() for weight in network.parameters()) <= limit


@pytest.mark.parametrize("frames", [100, 104, 105, 109])
@pytest.mark.parametrize("model", SMALL)
def test_equals_the_reference_given_its_weights(model: str, frames: int, tmp_path: Path) -> None:
    spec = small(model)
    check_equality(spec, spec.network.kernel_size + (frames - 1) * spec.network.stride, tmp_path)


@pytest.mark.parametrize("samples", [5003, 5120])
def test_htdemucs_equals_the_package_s_given_its_weights(samples: int, tmp_path: Path) -> None:
    fields = load_model("htdemucs").model_dump()
    spec = ModelSpec.model_validate({**fields, "network": SMALL_HTDEMUCS, "segment_samples": samples})
    check_equality(spec, samples, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "samples"),
    [("dptnet-paper", 2000), ("sepformer-paper", 8000), ("convtasnet-music-paper", 44100), ("htdemucs-paper", 343_980)],
)
def test_equals_the_reference_at_the_paper_s_size(model: str, samples: int, tmp_path: Path) -> None:
    check_equality(load_model(model), samples, tmp_path)


def test_transformer_of_dptnet_equals_asteroids() -> None:
    attention = pytest.importorskip("asteroid.masknn.attention", reason="the test requirements are not installed")
    theirs = attention.ImprovedTransformedLayer(8, 2, 6, norm="cLN").eval()
    ours = ImprovedTransformer(8, 2, 6).eval()
    names = {"mha": "self_attn", "recurrent": "lstm", "norm_mha": "norm1", "norm_ff": "norm2", "gamma": "weight", "beta": "bias"}
    ours.load_state_dict({".".join(names.get(part, part) for part in key.split(".")): value for key, value in theirs.state_dict().items()})
    x = torch.randn(3, 17, 8)
    with torch.no_grad():
        assert difference(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2)) <= TOLERANCE


def test_folder_of_speechbrain(tmp_path: Path) -> None:
    spec = small("sepformer")
    reference, network = reference_of(spec), build_network(spec)
    for part in ("encoder", "masknet", "decoder"):
        torch.save(getattr(reference, part).state_dict(), tmp_path / f"{part}.ckpt")
    load_network(network, tmp_path, spec)
    assert torch.equal(network.state_dict()["decoder.weight"], reference.state_dict()["decoder.weight"])
    (tmp_path / "masknet.ckpt").unlink()
    with pytest.raises(UserError, match=r"masknet\.ckpt does not exist"):
        load_network(network, tmp_path, spec)


def test_state_of_a_demucs_package_loads_with_its_class_and_without(tmp_path: Path) -> None:
    spec = small("convtasnet-music")
    reference, network = reference_of(spec), build_network(spec)
    torch.save({"args": (), "kwargs": {}, "state": reference.state_dict()}, tmp_path / "state.th")
    load_network(network, tmp_path / "state.th", spec)
    torch.save({"klass": ConvTasNetMusicReference, "kwargs": {}, "state": reference.state_dict()}, tmp_path / "package.th")
    load_network(network, tmp_path / "package.th", spec)
    assert torch.equal(network.state_dict()["encoder.conv1d_U.weight"], reference.state_dict()["encoder.conv1d_U.weight"])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    spec = small("dptnet")
    state = reference_of(spec).state_dict()
    del state["separator.BN.weight"]
    state["enc_LN.weight"] = torch.zeros(13)
    torch.save(state, tmp_path / "faulty.pth")
    with pytest.raises(UserError, match=r"missing: separator\.BN\.weight; enc_LN\.weight is \[13\], not \[12\]"):
        load_network(build_network(spec), tmp_path / "faulty.pth", spec)
