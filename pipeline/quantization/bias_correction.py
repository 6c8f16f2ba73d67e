"""Biases that keep the means: quantized, every channel of a convolution has the mean that it has in float (Nagel et al. 2019, sec. 4.2).

Clipping moves means, and so does rounding where many values are one and the same, as behind rectifiers; what is constant over time adds up
from block to block, where noise would average out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.layers.weighted_layer import WeightedLayer
from pipeline.quantization.bypass import bypass, restore


@torch.no_grad()
def correct_biases(twin: nn.Module, mixtures: Tensor) -> None:
    """Add to each bias of a twin with fitted ranges what its layer's channels have lost in the mean over mixtures [B, T] or [B, A, T].

    One run is without grids; in another one with them each layer is set right before those behind it run. Of a layer that is called for
    each source the first call counts. Only of 1x1 and depthwise convolutions that have a bias.
    """
    layers = [module for module in twin.modules() if isinstance(module, WeightedLayer) and module.bias is not None]
    wanted: dict[WeightedLayer, Tensor] = {}

    def note(layer: WeightedLayer, mean: Tensor) -> None:
        wanted[layer] = mean

    def correct(layer: WeightedLayer, mean: Tensor) -> None:
        assert layer.bias is not None
        lost = wanted[layer] - mean
        layer.bias += lost if layer.weight_quantizer.gain is None else lost / layer.weight_quantizer.gain

    training = twin.training
    twin.eval()
    bypass(twin)
    _at_first_call(twin, layers, note, mixtures)
    restore(twin)
    _at_first_call(twin, layers, correct, mixtures)
    twin.train(training)


def _at_first_call(twin: nn.Module, layers: list[WeightedLayer], do: Callable[[WeightedLayer, Tensor], None], mixtures: Tensor) -> None:
    """``do(layer, means of its sums [C])`` before each layer's first call of a run."""
    waiting = set(layers)

    def hook(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(layer, WeightedLayer)
        if layer in waiting:
            waiting.remove(layer)
            do(layer, layer.sums(inputs[0]).flatten(0, -2).mean(0))

    handles = [layer.register_forward_pre_hook(hook) for layer in layers]
    twin(mixtures)
    for handle in handles:
        handle.remove()
