"""Multiply-accumulates of a float network's layers, by the FQSS paper's convention and by an honest one.

The layers are run on shapes alone (torch's meta device) and counted as they are called. Both conventions count outputs x inputs per output
for convolutions and linear maps. What the paper's numbers hold besides, and what they hold otherwise, each layer says at its ``macs``; BOPs
are MACs x weight bits x activation bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.layers.accounting import CountsMacs, Macs, alike
from pipeline.layers.ends import InputEnd, OutputEnd
from pipeline.networks.network import Network


@dataclass(frozen=True)
class Work:
    """MACs of the network by kind of layer, and what the splitter and the reconstructor of FQSS add to them."""

    layers: dict[str, Macs]
    fqss_overhead: Macs

    @property
    def total(self) -> Macs:
        """MACs of all layers."""
        return sum(self.layers.values(), Macs())


def count_work(network: Network, samples: int) -> Work:
    """Count the integer part of a network, which is on the meta device, for so many samples."""
    layers: Counter[str] = Counter()
    honest: Counter[str] = Counter()
    overhead = Macs()

    def called(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal overhead
        macs = layer.macs(inputs, output) if isinstance(layer, CountsMacs) else Macs()
        layers[type(layer).__name__] += macs.paper
        honest[type(layer).__name__] += macs.honest
        if isinstance(layer, InputEnd):  # the splitter doubles its input
            overhead += macs
        if isinstance(layer, OutputEnd):  # the reconstructor encodes its output and decodes the difference
            overhead += macs + alike(inputs[0].numel() * (matrix_values(layer) // inputs[0].shape[-1]))

    with _hooks(network, called), torch.no_grad():
        getattr(network, network.integer_part)(*network.example_inputs(samples))
    return Work({name: Macs(layers[name], honest[name]) for name in layers if layers[name] or honest[name]}, overhead)


def matrix_values(layer: nn.Module) -> int:
    """Weights of a layer without its bias."""
    return sum(weight.numel() for weight in layer.parameters() if weight.dim() > 1)


@contextmanager
def _hooks(network: nn.Module, called: Any) -> Iterator[None]:
    handles = [layer.register_forward_hook(called) for layer in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
