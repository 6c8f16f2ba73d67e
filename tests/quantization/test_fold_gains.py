"""Frozen norms: statistics of the training data, and nothing left of them in a quantized network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from pipeline.layers.add import Add
from pipeline.layers.frozen_norm import FrozenNorm, Gain
from pipeline.layers.plain import to_plain_layers
from pipeline.layers.pointwise import Pointwise
from pipeline.networks.build import build_network
from pipeline.networks.network import Network
from pipeline.quantization.fold_gains import fold_gains
from pipeline.quantization.quantize import quantize
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.trace import trace
from tests.tiny import tiny_spec


@pytest.fixture
def network() -> Network:
    """With statistics and factors of its own in every norm, some of them negative."""
    torch.manual_seed(0)
    network = build_network(tiny_spec(causal=True, norm="frozen")).eval()
    for norm in network.modules():
        if isinstance(norm, FrozenNorm):
            norm.mean_square.uniform_(0.01, 4)
            nn.init.normal_(norm.gamma)
    return network


@pytest.fixture
def mixture() -> Tensor:
    return 0.1 * torch.randn(2, 800, generator=torch.Generator().manual_seed(1))


def test_statistics_are_those_of_the_training_data() -> None:
    torch.manual_seed(0)
    norm = FrozenNorm(3)
    deviations = torch.tensor([0.5, 1.0, 20.0])
    for _ in range(1000):
        norm(torch.randn(4, 50, 3) * deviations + 1)
    assert torch.allclose(norm.mean_square, deviations.square() + 1, rtol=0.05)
    x = torch.randn(2, 7, 3)
    assert torch.allclose(norm.eval()(x), x / (deviations.square() + 1).sqrt(), rtol=0.05)


def test_folding_leaves_the_function_alone(network: Network, mixture: Tensor) -> None:
    folded = copy.deepcopy(network)
    to_plain_layers(folded)
    assert fold_gains(folded, trace(folded))
    folded.gather_biases()
    with torch.no_grad():
        expected, got = network(mixture), folded(mixture)
    assert float(expected.abs().max()) > 1e-4
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_no_norm_is_left_of_it_in_a_quantized_network(network: Network) -> None:
    calls = [str(node.target) for node in trace(quantize(network, Recipe("fqss", "scalar-gain"))).nodes if node.op == "call_module"]
    norms = {path for path, module in network.named_modules() if isinstance(module, FrozenNorm)}
    assert len(norms) == 5
    assert not norms & set(calls)


def test_channels_between_convolution_and_norm_reach_alike_far(network: Network, mixture: Tensor) -> None:
    """Magnitudes go before the PReLU: what leaves it is what left the norm, but for signs."""
    to_plain_layers(folded := copy.deepcopy(network))
    fold_gains(folded, trace(folded))
    seen: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda *call: seen.__setitem__(name, call[2]))

    path = "masker.TCN.1.shared_block"
    keep("norm", network.get_submodule(f"{path}.2"))
    keep("prelu", folded.get_submodule(f"{path}.1"))
    with torch.no_grad():
        network(mixture), folded(mixture)
    assert torch.allclose(seen["prelu"].abs(), seen["norm"].abs(), rtol=1e-3, atol=1e-6)


def test_a_gain_that_something_else_reads_stays() -> None:
    class Branching(Network):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.gain, self.after, self.add = (
                Pointwise(3, 3),
                Gain.affine(torch.ones(3), torch.zeros(3)),
                Pointwise(3, 3),
                Add(),
            )

        def forward(self, x: Tensor) -> Tensor:
            scaled = self.gain(self.before(x))
            result: Tensor = self.add(scaled, self.after(scaled))
            return result

    branching = Branching()
    assert not fold_gains(branching, trace(branching))
    assert isinstance(branching.gain, Gain)
