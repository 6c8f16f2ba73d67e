"""From a float network to its quantized twin: layers are replaced one by one, and each is told its inputs' grids."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from export_specs.foundation.progress import tracked
from pipeline.layers.plain import to_plain_layers
from pipeline.layers.quantized_layer import QuantizedLayer, Quantizer
from pipeline.layers.quantized_norm import QuantizedNorm
from pipeline.layers.registry import LAYERS
from pipeline.networks.network import Network
from pipeline.quantization.fold_affine import fold_affine
from pipeline.quantization.fold_gains import fold_gains
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.trace import trace


def quantize(network: Network, recipe: Recipe) -> Network:
    """The quantized twin of a float network (which is left alone), with ranges still to be observed.

    Raises:
        UserError: something outside of the layers is computed, which has no quantized form.
    """
    twin = copy.deepcopy(network)
    to_plain_layers(twin)
    folded_gains = fold_gains(twin, trace(twin))
    if fold_affine(twin, trace(twin), recipe) or folded_gains:
        twin.gather_biases()
    for path, module in list(twin.named_modules()):  # also those that nothing calls: checkpoints hold them
        layer = LAYERS.find(module)
        if layer is not None:
            parent, _, name = path.rpartition(".")
            setattr(twin.get_submodule(parent), name, layer.twin(recipe).make(module))
    _connect(twin)
    return twin


def _connect(twin: Network) -> None:
    """Tell each layer the grids of its inputs, after those whose output a layer puts on its own grid have given up theirs."""
    layers = {node: twin.get_submodule(str(node.target)) for node in trace(twin).nodes if node.op == "call_module"}
    for node, layer in layers.items():
        if isinstance(layer, QuantizedLayer) and layer.quantizes_input:
            producer = layers[node.args[0]]
            assert isinstance(producer, QuantizedLayer)
            producer.output_quantizer = nn.Identity()
    for node, layer in layers.items():
        assert isinstance(layer, QuantizedLayer)
        producers = [layers[argument] for argument in node.args if argument in layers]
        layer.read_from(cast(list[QuantizedLayer], producers))
        grids = [producer.grid_quantizer() for producer in producers if isinstance(producer, QuantizedLayer)]
        layer.connect(cast(list[Quantizer], grids))  # None where the layer needs no grid of its input


def set_observing(twin: nn.Module, observing: bool) -> None:
    """Switch every quantizer between observing its range and quantizing."""
    for module in twin.modules():
        if isinstance(module, ActivationQuantizer | FixedQuantizer):
            module.observing = observing


def range_parameters(twin: nn.Module) -> set[int]:
    """``id`` of every parameter that is the range of a quantizer, of activations or weights."""
    quantizers = [module for module in twin.modules() if isinstance(module, ActivationQuantizer | WeightQuantizer)]
    return {id(parameter) for quantizer in quantizers for parameter in quantizer.parameters()}


def freeze_statistics(twin: nn.Module, frozen: bool) -> None:
    """Stop (or go on with) the observation of norm statistics while training."""
    for module in twin.modules():
        if isinstance(module, QuantizedNorm):
            module.frozen = frozen


def observe(twin: nn.Module, batches: list[Tensor]) -> None:
    """Observe all ranges on mixtures [B, T] or [B, A, T]; weights stay as they are."""
    twin.train()
    set_observing(twin, True)
    with torch.no_grad():
        for batch in tracked(batches, "ranges are observed, batch"):
            twin(batch)
    set_observing(twin, False)
