"""How much noise each layer of a quantized network adds, and how much has gathered at its output: the SQNR layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from export_specs.foundation.progress import tracked
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.networks.network import Network
from pipeline.quantization.bypass import bypass, restore
from pipeline.quantization.trace import trace


@dataclass(frozen=True)
class LayerNoise:
    """SQNR of a layer's output in dB, against the same network with no int8 grid anywhere; infinite without noise.

    Attributes:
        layer: its name in the network. ``kind``: its class, without "Quantized".
        own: with the grids of this layer alone, weights included. ``gathered``: with those of all layers.
    """

    layer: str
    kind: str
    own: float
    gathered: float


@torch.no_grad()
def layer_noise(network: Network, mixtures: Tensor) -> list[LayerNoise]:
    """The noise of every layer on mixtures [B, T] or [B, A, T], in the network's order.

    Integer norms keep their arithmetic in either run; what is compared is the int8 grids.

    Raises:
        ValueError: the network has no quantized layer.
    """
    found = {str(node.target) for node in trace(network).nodes if node.op == "call_module"}
    layers = {name: module for name, module in network.named_modules() if name in found and isinstance(module, QuantizedLayer)}
    if not layers:
        raise ValueError("the network has no quantized layer")
    ideal, own, gathered = (dict.fromkeys(layers, 0.0) for _ in range(3))
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}  # in order: a layer may run for each source

    def keep(name: str, inputs: tuple[Any, ...], output: Tensor) -> None:
        outputs[name].append(output)
        ideal[name] += _energy(output)
        restore(layers[name])
        own[name] += _energy(layers[name].forward(*inputs) - output)
        bypass(layers[name])

    def compare(name: str, _: tuple[Any, ...], output: Tensor) -> None:
        gathered[name] += _energy(output - outputs[name].pop(0))

    for mixture in tracked(mixtures, "noise of every layer, mixture", len(mixtures)):
        with _bypassed(network), _hooked(layers, keep):
            network(mixture[None])
        with _hooked(layers, compare):
            network(mixture[None])
    return [
        LayerNoise(name, _kind(layer), _ratio_db(ideal[name], own[name]), _ratio_db(ideal[name], gathered[name]))
        for name, layer in layers.items()
    ]


def _kind(layer: nn.Module) -> str:
    return type(layer).__name__.removeprefix("Quantized")


def _ratio_db(signal: float, noise: float) -> float:
    """10·log10(signal / noise); infinite without noise."""
    return math.inf if noise == 0 else 10 * math.log10(max(signal, 1e-30) / noise)


def _energy(x: Tensor) -> float:
    return float(x.double().square().sum())


@contextmanager
def _bypassed(network: nn.Module) -> Iterator[None]:
    """Its quantizers give out what they get, times the gain where a weight has one."""
    bypass(network)
    try:
        yield
    finally:
        restore(network)


@contextmanager
def _hooked(layers: Mapping[str, nn.Module], hook: Callable[[str, tuple[Any, ...], Tensor], None]) -> Iterator[None]:
    """``hook(name, inputs, output)`` is called whenever a layer has run."""
    handles = [
        layer.register_forward_hook(lambda _, inputs, output, name=name: hook(name, inputs, output)) for name, layer in layers.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
