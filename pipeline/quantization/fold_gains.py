"""Constant factors of channels, as frozen norms leave them, moved into the convolutions before and behind them."""

from __future__ import annotations

import torch
from torch import fx, nn

from pipeline.layers.folding import FoldingConv
from pipeline.layers.frozen_norm import Gain
from pipeline.layers.prelu.float import Prelu


def fold_gains(network: nn.Module, graph: fx.Graph) -> bool:
    """Take every :class:`Gain` that only convolutions read out of the network, in place; the function stays the same.

    Its magnitude goes into the convolution before it where only a PReLU stands between them, which is homogeneous: so the channels of the
    tensors between reach alike far, and one grid suits them all (Nagel et al. 2019, sec. 4.1). The rest goes into those that read it.

    Returns:
        Whether there was any.
    """
    found = False
    for node in graph.nodes:
        gain = _layer(network, node)
        readers = [_layer(network, user) for user in node.users]
        if not isinstance(gain, Gain) or not all(isinstance(reader, FoldingConv) for reader in readers):
            continue
        found, factor = True, gain.weight.detach().flatten()
        before = _convolution_before(network, node)
        if before is not None:
            before.take_gain(factor.abs())
            factor = factor.sign()
        for reader in readers:
            assert isinstance(reader, FoldingConv)
            reader.take_affine(factor, torch.zeros_like(factor))
        parent, _, name = str(node.target).rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())
    return found


def _convolution_before(network: nn.Module, node: fx.Node) -> FoldingConv | None:
    """The convolution of whose output the input of ``node`` is the PReLU, and nothing else is made of either."""
    (activation,) = node.args
    if not isinstance(activation, fx.Node) or not isinstance(_layer(network, activation), Prelu) or len(activation.users) > 1:
        return None
    (source,) = activation.args
    if not isinstance(source, fx.Node) or len(source.users) > 1:
        return None
    convolution = _layer(network, source)
    linear = getattr(convolution, "activation", "linear") == "linear"
    return convolution if isinstance(convolution, FoldingConv) and linear else None


def _layer(network: nn.Module, node: fx.Node) -> nn.Module | None:
    return network.get_submodule(str(node.target)) if node.op == "call_module" else None
