"""Noise layer by layer: none without grids, the textbook's value of one grid, and it gathers along the network."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from export_specs.schema import ModelSpec
from pipeline.layers.add import QuantizedAdd
from pipeline.layers.pointwise import QuantizedPointwise
from pipeline.quantization.noise import layer_noise
from pipeline.quantization.recipe import Recipe
from tests.tiny import mixtures, quantized_network, tiny_dptnet, tiny_htdemucs, tiny_sepformer, tiny_spec, waveforms


@pytest.fixture(autouse=True)
def _eager() -> None:
    torch.compiler.set_stance("force_eager")


@pytest.mark.parametrize("spec", [tiny_spec, tiny_dptnet, tiny_sepformer, tiny_htdemucs])
def test_every_layer_is_measured_and_the_network_is_left_as_it_was(spec: Callable[[], ModelSpec]) -> None:
    network = quantized_network(spec(), Recipe("fqss", "scalar-gain"))
    heard = mixtures(spec(), 2, 5)
    with torch.no_grad():
        before = network(heard)
    noises = layer_noise(network, heard)
    with torch.no_grad():
        torch.testing.assert_close(network(heard), before, rtol=0, atol=0)
    assert len({noise.layer for noise in noises}) == len(noises) > 10
    assert all(noise.own > 5 for noise in noises)
    assert any(noise.gathered < noise.own - 3 for noise in noises)


def test_a_layer_that_runs_for_each_source_gathers_what_its_runs_do() -> None:
    network = quantized_network(tiny_dptnet(), Recipe("fqss", "scalar-gain"))
    noises = {noise.layer: noise for noise in layer_noise(network, waveforms(2, 800, 5))}
    stacked, decoded = (next(n for n in noises.values() if n.kind == kind) for kind in ("StackSources", "ReconstructingDecoder"))
    assert stacked.gathered == pytest.approx(decoded.gathered)


def test_a_sum_has_the_noise_of_its_grid() -> None:
    """Rounding to steps of ``scale`` gives noise of scale^2 / 12 a value (Widrow and Kollar, Quantization Noise, 2008)."""
    network = quantized_network(tiny_spec(), Recipe("fqss", "scalar-gain"))
    heard = waveforms(2, 8000, 5)
    noise = next(noise for noise in layer_noise(network, heard) if noise.kind == "Add")
    outputs: list[torch.Tensor] = []
    layer = network.get_submodule(noise.layer)
    assert isinstance(layer, QuantizedAdd)
    layer.register_forward_hook(lambda _, __, output: outputs.append(output))
    with torch.no_grad():
        network(heard)
    scale, _ = layer.grid_quantizer().grid()
    assert noise.own == pytest.approx(10 * math.log10(float(outputs[0].square().mean() / (scale**2 / 12))), abs=0.5)


def test_coarser_weights_are_the_noise_of_their_layer_alone() -> None:
    network = quantized_network(tiny_spec(), Recipe("fqss", "scalar-gain"))
    heard = waveforms(1, 800, 5)
    before = {noise.layer: noise for noise in layer_noise(network, heard)}
    name = next(name for name, noise in before.items() if noise.kind == "Pointwise")
    layer = network.get_submodule(name)
    assert isinstance(layer, QuantizedPointwise)
    with torch.no_grad():
        layer.weight_quantizer.range.mul_(16)
    after = {noise.layer: noise for noise in layer_noise(network, heard)}
    assert after[name].own < before[name].own - 6
    for other in before.keys() - {name}:
        assert after[other].own == pytest.approx(before[other].own, abs=0.5), other  # the bias' int32 grid is coarser too
