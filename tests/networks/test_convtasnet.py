"""The float network against Asteroid's, which is written independently of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.networks.build import build_network
from tests.networks.specs import asteroid_network, small_spec

SPECS = {
    "paper": load_model("convtasnet-paper"),
    "edge": load_model("convtasnet"),
    "enhancement": load_model("convtasnet-denoise-16k"),
    "causal": small_spec(causal=True),
    "sigmoid mask": small_spec(mask_act="sigmoid"),
    "relu encoder": small_spec(encoder_act="relu"),
    "one source": small_spec(n_src=1),
    "three sources": small_spec(n_src=3),
    "stride a third of the kernel": small_spec(kernel_size=12),
    "kernel 5": small_spec(conv_kernel_size=5),
}


@pytest.mark.parametrize(("model", "parameters"), [("convtasnet-paper", 5_050_545), ("convtasnet-denoise-16k", 5_000_881)])
def test_number_of_parameters(model: str, parameters: int) -> None:
    assert sum(weight.numel() for weight in build_network(load_model(model)).parameters()) == parameters


def test_edge_network_is_small() -> None:
    assert sum(weight.numel() for weight in build_network(load_model("convtasnet")).parameters()) <= 600_000


@pytest.mark.parametrize("name", SPECS)
def test_equals_asteroid_given_its_weights(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    torch.manual_seed(0)
    reference = asteroid_network(spec)
    torch.save(reference.serialize(), tmp_path / "package.pth")
    network = build_network(spec).eval()
    load_network(network, tmp_path / "package.pth", spec)
    kernel, stride = spec.network.kernel_size, spec.network.stride
    samples = (min(2 * spec.sample_rate, spec.segment_samples) - kernel) // stride * stride + kernel
    mixture = 0.1 * torch.randn(2, samples)
    with torch.no_grad():
        expected, got = reference(mixture), network(mixture)
    assert got.shape == expected.shape
    assert float((got - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("name", ["paper", "enhancement", "three sources"])
def test_names_of_weights_are_asteroids(name: str) -> None:
    reference = asteroid_network(SPECS[name]).state_dict()
    ours = build_network(SPECS[name]).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in reference.items()}


def test_names_of_a_causal_network_become_ours(tmp_path: Path) -> None:
    network, reference = build_network(SPECS["causal"]), asteroid_network(SPECS["causal"])
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    load_network(network, tmp_path / "weights.pth", SPECS["causal"])
    ours, theirs = network.state_dict(), reference.state_dict()
    for name in ("masker.TCN.1.shared_block.3.weight", "masker.TCN.1.shared_block.3.bias"):
        assert torch.equal(ours[name], theirs[name.replace(".3.", ".3.0.")])


@pytest.mark.parametrize(("blocks", "frames"), [(0, 0), (1, 1), (2, 3)])
def test_causal_network_looks_ahead_as_far_as_its_first_blocks_may(blocks: int, frames: int) -> None:
    spec = small_spec(causal=True, lookahead_blocks=blocks)
    network = build_network(spec).eval()
    mixture = torch.randn(1, spec.segment_samples)
    changed = mixture.clone()
    changed[:, 204:] = torch.randn(204)
    with torch.no_grad():
        before, after = network(mixture), network(changed)
    known = 204 - spec.network.kernel_size - frames * spec.network.stride  # every frame that covers a sample, and those ahead of them
    torch.testing.assert_close(before[..., :known], after[..., :known])
    if frames:
        assert not torch.allclose(before[..., : known + spec.network.kernel_size], after[..., : known + spec.network.kernel_size])
    assert not torch.allclose(before[..., 204:], after[..., 204:])


def test_output_has_the_input_s_length() -> None:
    spec: ModelSpec = SPECS["one source"]
    with torch.no_grad():
        assert build_network(spec)(torch.zeros(3, spec.segment_samples)).shape == (3, 1, spec.segment_samples)
