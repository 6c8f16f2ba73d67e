"""Grids on which kernels agree: no code's result lies next to a tie (docs/adr/0020-ties-of-tables.md).

Of LOGISTIC and TANH, whose tables are made in float32; and of a product with one scalar, where a tie is a tie for all values of one code at
once, and XNNPACK rounds it one way on x86-64 and the other on aarch64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from pipeline.layers.quantized_layer import GainProduct, QuantizedLayer, Quantizer, TableLookup
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer

MARGIN = 2.0**-13  # of a step; tables in float32 were seen to be off by 2^-17.8
PRODUCT_MARGIN = 2.0**-16  # products below 128 are off by 2^-18 in float32
WIDENING = 1 + 2.0**-10
ATTEMPTS = 100


@torch.no_grad()
def avoid_ties(network: nn.Module) -> None:
    """Widen the range before each sigmoid or tanh, and of each product with a scalar, a little at a time, until the results of all codes
    are MARGIN, of products PRODUCT_MARGIN, away from a tie.

    The range stays as it is where ATTEMPTS are not enough, or where it is not learned.
    """
    for layer in network.modules():
        if not isinstance(layer, QuantizedLayer):
            continue
        for lookup in layer.table_lookups():
            _settle(lookup.quantizer, partial(_is_clear_of_ties, lookup))
        for product in layer.gain_products():
            _settle(product.result, partial(_has_clear_products, product))


def tie_distance(scale: Tensor, zero_point: Tensor, activation: str, slope: float = 1.0) -> float:
    """How near the result of any code comes to the middle between two codes of the kernel's grid, in steps of it (0 to 0.5)."""
    codes = torch.arange(QMIN, QMAX + 1, dtype=torch.float64)
    x = slope * scale.double() * (codes - zero_point.double())
    results = 256 * torch.sigmoid(x) if activation == "sigmoid" else 128 * torch.tanh(x)
    return float((results - results.floor() - 0.5).abs().min())


def product_tie_distance(zero_point: float, largest: int, multiplier: float) -> float:
    """How near a product of a code with a scalar of 1 to ``largest`` comes to the middle between two codes, where it does not saturate."""
    codes = torch.arange(QMIN, QMAX + 1, dtype=torch.int64) - int(zero_point)
    products = torch.unique((codes[:, None] * torch.arange(1, largest + 1)).abs())
    results = products.double() * multiplier
    results = results[results <= QMAX - QMIN]
    return float((results - results.floor() - 0.5).abs().min())


def _is_clear_of_ties(lookup: TableLookup) -> bool:
    return tie_distance(*lookup.quantizer.grid(), lookup.function, lookup.slope) >= MARGIN


def _has_clear_products(product: GainProduct) -> bool:
    zero_point = float(product.factor.grid()[1])
    return product_tie_distance(zero_point, product.largest, product.multiplier()) >= PRODUCT_MARGIN


def _settle(quantizer: Quantizer, is_clear: Callable[[], bool]) -> None:
    if not isinstance(quantizer, ActivationQuantizer):
        return
    minimum, maximum = quantizer.minimum.clone(), quantizer.maximum.clone()
    for _ in range(ATTEMPTS):
        if is_clear():
            return
        quantizer.minimum.mul_(WIDENING)
        quantizer.maximum.mul_(WIDENING)
    quantizer.minimum.copy_(minimum)
    quantizer.maximum.copy_(maximum)
