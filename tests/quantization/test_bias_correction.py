"""Biases that keep the means of every channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.layers.depthwise import QuantizedDepthwise
from pipeline.layers.weighted_layer import WeightedLayer
from pipeline.quantization.bias_correction import correct_biases
from pipeline.quantization.bypass import bypass, restore
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.recipe import Recipe
from tests.tiny import mixtures, quantized_network, tiny_spec


def _means(twin: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The mean of each channel of each convolution's sums; what the layer itself makes, its output grid taken off."""
    found: dict[str, Tensor] = {}
    layers = {name: layer for name, layer in twin.named_modules() if isinstance(layer, WeightedLayer) and layer.bias is not None}

    def note(name: str) -> object:
        def hook(layer: WeightedLayer, inputs: tuple[Tensor]) -> None:
            found.setdefault(name, layer.sums(inputs[0]).mean((0, 1)))

        return hook

    handles = [layer.register_forward_pre_hook(note(name)) for name, layer in layers.items()]  # type: ignore[arg-type]
    with torch.no_grad():
        twin(x)
    for handle in handles:
        handle.remove()
    return found


def test_means_become_those_without_grids() -> None:
    """With ranges that clip, so that there is something to mend."""
    spec = tiny_spec()
    twin, x = quantized_network(spec, Recipe("fqss", "scalar-gain")), mixtures(spec, 4)
    for module in twin.modules():
        if isinstance(module, ActivationQuantizer):
            module.maximum.data.mul_(0.5)
    bypass(twin)
    wanted = _means(twin, x)
    restore(twin)
    before = _means(twin, x)
    correct_biases(twin, x)
    after = _means(twin, x)
    assert any(isinstance(twin.get_submodule(name), QuantizedDepthwise) for name in wanted)
    assert not twin.training
    for name, mean in wanted.items():
        layer = twin.get_submodule(name)
        assert isinstance(layer, WeightedLayer)
        step = (layer.input_quantizers[0].grid()[0] * layer.weight_quantizer.scale()).max()  # biases are rounded to it
        assert float((after[name] - mean).abs().max()) <= float(step) + 1e-5, name
    assert sum(float((before[name] - mean).square().sum()) for name, mean in wanted.items()) > 1e-3
