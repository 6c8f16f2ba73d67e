"""Grids on which the kernels of LOGISTIC and TANH agree: no code's result lies next to a tie (docs/adr/0020-ties-of-tables.md)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.layers.quantized_layer import QuantizedLayer, TableLookup
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer

MARGIN = 2.0**-13  # of a step; tables in float32 were seen to be off by 2^-17.8
WIDENING = 1 + 2.0**-10
ATTEMPTS = 100


@torch.no_grad()
def avoid_ties(network: nn.Module) -> None:
    """Widen the range before each sigmoid or tanh, a little at a time, until the results of all 256 codes are MARGIN away from a tie.

    The range stays as it is where ATTEMPTS are not enough, or where it is not learned.
    """
    for layer in network.modules():
        for lookup in layer.table_lookups() if isinstance(layer, QuantizedLayer) else []:
            _settle(lookup)


def tie_distance(scale: Tensor, zero_point: Tensor, activation: str, slope: float = 1.0) -> float:
    """How near the result of any code comes to the middle between two codes of the kernel's grid, in steps of it (0 to 0.5)."""
    codes = torch.arange(QMIN, QMAX + 1, dtype=torch.float64)
    x = slope * scale.double() * (codes - zero_point.double())
    results = 256 * torch.sigmoid(x) if activation == "sigmoid" else 128 * torch.tanh(x)
    return float((results - results.floor() - 0.5).abs().min())


def _settle(lookup: TableLookup) -> None:
    quantizer = lookup.quantizer
    if not isinstance(quantizer, ActivationQuantizer):
        return
    minimum, maximum = quantizer.minimum.clone(), quantizer.maximum.clone()
    for _ in range(ATTEMPTS):
        if tie_distance(*quantizer.grid(), lookup.function, lookup.slope) >= MARGIN:
            return
        quantizer.minimum.mul_(WIDENING)
        quantizer.maximum.mul_(WIDENING)
    quantizer.minimum.copy_(minimum)
    quantizer.maximum.copy_(maximum)
