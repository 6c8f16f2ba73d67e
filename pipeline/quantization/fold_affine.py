"""Norms without gamma and beta: the convolutions behind a norm take them over, or a depthwise convolution of one tap is put there."""

from __future__ import annotations

import torch
from torch import fx, nn

from pipeline.layers.depthwise import Depthwise
from pipeline.layers.folding import FoldingConv
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.named import named
from pipeline.layers.registry import LAYERS
from pipeline.quantization.recipe import Recipe


def fold_affine(network: nn.Module, graph: fx.Graph, recipe: Recipe) -> bool:
    """Move gamma and beta of every norm that has none in its quantized form into the convolutions that read it, in place.

    Returns:
        Whether there was any such norm.
    """
    calls = [(node, network.get_submodule(str(node.target))) for node in graph.nodes if node.op == "call_module"]
    folded = [(node, layer) for node, layer in calls if LAYERS.twin(layer, recipe).without_affine]
    for node, norm in folded:
        assert isinstance(norm, GlobalLayerNorm)
        if not norm.gamma.requires_grad:  # constants: there is nothing to fold
            continue
        readers = [network.get_submodule(str(user.target)) for user in node.users]
        if not all(isinstance(reader, FoldingConv) for reader in readers):
            readers = [_put_behind(network, str(node.target), norm)]
        for convolution in readers:
            assert isinstance(convolution, FoldingConv)
            convolution.take_affine(norm.gamma, norm.beta)
        with torch.no_grad():
            norm.gamma.fill_(1)
            norm.beta.zero_()
    return bool(folded)


def _put_behind(network: nn.Module, path: str, norm: GlobalLayerNorm) -> Depthwise:
    """An identity that can take gamma and beta over: a depthwise convolution between the norm at ``path`` and what reads it."""
    convolution = Depthwise.affine(torch.ones_like(norm.gamma), torch.zeros_like(norm.beta))
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, named(normalised=norm, affine=convolution))
    return convolution
