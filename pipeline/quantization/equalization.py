"""Channels of the features that masks multiply, brought to like ranges.

Exact in float: a product with a mask keeps the channel's factor, and the linear decoder takes it back.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, fx, nn

from export_specs.foundation.progress import tracked
from pipeline.layers.carried_features import QuantizedCarriedFeatures
from pipeline.layers.decoder.quantized import QuantizedDecoder
from pipeline.layers.multiply import QuantizedMultiply
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.networks.network import Network
from pipeline.quantization.bypass import bypass, restore
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.trace import trace

LEAST_SHARE = 2.0**-5  # of the widest channel's range: what is quieter is not raised further


@torch.no_grad()
def equalize_features(twin: Network, batches: list[Tensor]) -> None:
    """Choose the gain of each channel of carried features on mixtures [B, T], and take it back in the decoder, in place.

    Every channel of the features reaches as far as the widest one then. The ranges of features and products become those of the mixtures
    with the gains. Call it between :func:`pipeline.quantization.quantize.observe` and the fitting of ranges.
    """
    for node in trace(twin).nodes:
        carried = _layer(twin, node)
        if isinstance(carried, QuantizedCarriedFeatures):
            products = {_layer(twin, user) for user in node.users}
            decoders = {_layer(twin, user) for product in node.users for user in product.users}
            assert len(products) == len(decoders) == 1
            product, decoder = products.pop(), decoders.pop()
            assert isinstance(product, QuantizedMultiply) and isinstance(decoder, QuantizedDecoder)
            _equalize(twin, carried, product, decoder, batches)


def _equalize(
    twin: Network, carried: QuantizedCarriedFeatures, product: QuantizedMultiply, decoder: QuantizedDecoder, batches: list[Tensor]
) -> None:
    layers: tuple[QuantizedLayer, ...] = (carried, product)
    extremes = [torch.zeros(2, len(carried.gain)) for _ in layers]  # least and greatest value of each channel

    def follow(found: Tensor, _: nn.Module, inputs: tuple[Tensor]) -> None:
        values = inputs[0].flatten(0, -2)
        found.copy_(torch.stack([torch.minimum(found[0], values.amin(0)), torch.maximum(found[1], values.amax(0))]))

    hooks = [
        layer.output_quantizer.register_forward_pre_hook(partial(follow, found)) for layer, found in zip(layers, extremes, strict=True)
    ]
    training = twin.training
    bypass(twin.eval())
    for batch in tracked(batches, "channels are equalized, batch"):
        twin(batch)
    restore(twin.train(training))
    for hook in hooks:
        hook.remove()

    sizes = extremes[0].abs().amax(0)
    gain = 1 / (sizes / sizes.max().clamp(min=torch.finfo().tiny)).clamp(min=LEAST_SHARE)  # without any feature: finite all the same
    carried.gain.mul_(gain)
    for layer, found in zip(layers, extremes, strict=True):
        quantizer = layer.output_quantizer
        assert isinstance(quantizer, ActivationQuantizer)
        quantizer.minimum.copy_((found[0] * gain).min())
        quantizer.maximum.copy_((found[1] * gain).max())
    decoder.weight.div_(gain)
    decoder.weight_quantizer.range.copy_(decoder.rows().abs().amax(1))


def _layer(network: nn.Module, node: fx.Node) -> nn.Module | None:
    return network.get_submodule(str(node.target)) if node.op == "call_module" else None
