"""Norms without gamma and beta: the convolutions behind a norm take them over."""

from __future__ import annotations

import torch
from torch import fx, nn

from pipeline.models import layers as float_layers


def fold_affine(network: nn.Module, graph: fx.Graph, kind: type[nn.Module]) -> bool:
    """Move gamma and beta of every norm of a ``kind`` of a float network into the convolutions that read it, in place.

    Returns:
        Whether there was any.
    """
    norms = [(node, network.get_submodule(str(node.target))) for node in graph.nodes if node.op == "call_module"]
    folded = [(node, norm) for node, norm in norms if isinstance(norm, kind)]
    for node, norm in folded:
        assert isinstance(norm, float_layers.GlobalLayerNorm)
        with torch.no_grad():
            for user in node.users:
                convolution = network.get_submodule(str(user.target))
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
