"""Published layers against the plain ones that stand for them before a network is quantized."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch

from export_specs.schema import ModelSpec
from pipeline.layers.plain import to_plain_layers
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.quantize import quantize
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.trace import trace
from tests.tiny import tiny_dptnet, tiny_network, tiny_sepformer, waveforms

NETWORKS = pytest.mark.parametrize("spec", [tiny_sepformer, tiny_dptnet], ids=["sepformer", "dptnet"])


@NETWORKS
def test_plain_layers_compute_the_same(spec: Callable[[], ModelSpec]) -> None:
    network = tiny_network(spec()).eval()
    plain = deepcopy(network)
    to_plain_layers(plain)
    mixture = waveforms(2, 800, 5)
    with torch.no_grad():
        expected, got = network(mixture), plain(mixture)
    assert {type(module) for module in plain.modules()} != {type(module) for module in network.modules()}
    assert float((got - expected).abs().max() / expected.abs().max()) < 1e-5


@NETWORKS
def test_every_layer_of_the_twin_is_quantized_and_the_network_is_as_it_was(spec: Callable[[], ModelSpec]) -> None:
    network = tiny_network(spec())
    before = deepcopy(network.state_dict())
    twin = quantize(network, Recipe("fqss", "scalar-gain"))
    called = [twin.get_submodule(str(node.target)) for node in trace(twin).nodes if node.op == "call_module"]
    assert len(called) > 50 and all(isinstance(layer, QuantizedLayer) for layer in called)
    after = network.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
