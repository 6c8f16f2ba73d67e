"""Norms without gamma and beta: the convolutions behind a norm take them over, or a depthwise convolution of one tap is put there."""

from __future__ import annotations

import torch
from torch import fx, nn

from pipeline.layers.elementwise import float as float_layers
from pipeline.layers.named import named


def fold_affine(network: nn.Module, graph: fx.Graph, kind: type[nn.Module]) -> bool:
    """Move gamma and beta of every norm of a ``kind`` of a float network into the convolutions that read it, in place.

    Returns:
        Whether there was any.
    """
    norms = [(node, network.get_submodule(str(node.target))) for node in graph.nodes if node.op == "call_module"]
    folded = [(node, norm) for node, norm in norms if isinstance(norm, kind)]
    for node, norm in folded:
        assert isinstance(norm, float_layers.GlobalLayerNorm)
        if not norm.gamma.requires_grad:  # constants: there is nothing to fold
            continue
        readers = [network.get_submodule(str(user.target)) for user in node.users]
        if not all(isinstance(reader, float_layers.Pointwise | float_layers.Depthwise) for reader in readers):
            readers = [_put_behind(network, str(node.target), norm)]
        with torch.no_grad():
            for convolution in readers:
                assert isinstance(convolution, float_layers.Pointwise | float_layers.Depthwise)
                if convolution.bias is None:
                    convolution.bias = nn.Parameter(torch.zeros(convolution.out_channels))
                if isinstance(convolution, float_layers.Pointwise):
                    convolution.bias += convolution.weight[:, :, 0] @ norm.beta
                    convolution.weight *= norm.gamma[:, None]
                else:
                    convolution.bias += convolution.weight.sum((1, 2)) * norm.beta
                    convolution.weight *= norm.gamma[:, None, None]
            norm.gamma.fill_(1)
            norm.beta.zero_()
    return bool(folded)


def _put_behind(network: nn.Module, path: str, norm: float_layers.GlobalLayerNorm) -> float_layers.Depthwise:
    """An identity that can take gamma and beta over: a depthwise convolution between the norm at ``path`` and what reads it."""
    convolution = float_layers.Depthwise(len(norm.gamma), 1, 1, causal=False)
    assert convolution.bias is not None
    nn.init.ones_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, named(normalised=norm, affine=convolution))
    return convolution
