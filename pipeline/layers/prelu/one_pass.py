"""A PReLU with the quantizers of its input and output in one pass, and its gradients in another.

The three are memory-bound element-wise operations, of which a Conv-TasNet has two for each block: one after the other they take a
quarter of a step of quantization-aware training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pipeline.compiler import compiler_available
from pipeline.quantization.grid import QMAX, QMIN, flat


def _forward_kernel(x: Tensor, scale: Tensor, zero_point: Tensor, slope: Tensor) -> Tensor:
    q = ((x / scale).round() + zero_point).clamp(QMIN, QMAX).sub(zero_point).mul(scale)
    y = torch.where(q > 0, q, q * slope)
    return ((y / scale).round() + zero_point).clamp(QMIN, QMAX).sub(zero_point).mul(scale)


def _gradient_kernel(gradient: Tensor, x: Tensor, scale: Tensor, zero_point: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
    """Gradients of x, minimum, maximum and slope: the chain rule over the straight-through rules of the two quantizers."""
    ratio = x / scale
    code = ratio.round() + zero_point
    q = code.clamp(QMIN, QMAX).sub(zero_point).mul(scale)
    negative = q <= 0
    out_ratio = torch.where(negative, q * slope, q) / scale
    out_code = out_ratio.round() + zero_point
    of_y = gradient.masked_fill((out_code < QMIN) | (out_code > QMAX), 0.0)
    of_q = torch.where(negative, of_y * slope, of_y)
    of_x = of_q.masked_fill((code < QMIN) | (code > QMAX), 0.0)
    step = (of_y * (out_code - zero_point - out_ratio) + of_x * (code - zero_point - ratio)).sum() / (QMAX - QMIN)
    below = (gradient * (out_code < QMIN) + of_q * (code < QMIN)).sum()
    above = (gradient * (out_code > QMAX) + of_q * (code > QMAX)).sum()
    return of_x, below - step, above + step, (of_y * torch.where(negative, q, 0.0)).sum()


if compiler_available():  # for vectors of any length; without a compiler op by op
    _forward_kernel = torch.compile(_forward_kernel, dynamic=True)
    _gradient_kernel = torch.compile(_gradient_kernel, dynamic=True)


class _QuantizedPrelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, minimum: Tensor, maximum: Tensor, weight: Tensor, scale: Tensor, zero_point: Tensor, slope: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, scale, zero_point, slope)
        return _forward_kernel(flat(x), scale, zero_point, slope).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, scale, zero_point, slope = ctx.saved_tensors
        of_x, of_minimum, of_maximum, of_slope = _gradient_kernel(flat(gradients[0]), flat(x), scale, zero_point, slope)
        return of_x.view(x.shape), of_minimum, of_maximum, of_slope.view(slope.shape), None, None, None


def quantized_prelu(x: Tensor, ends: tuple[Tensor, Tensor], grid: tuple[Tensor, Tensor], weight: Tensor, slope: Tensor) -> Tensor:
    """Q(PReLU(Q(x))) on one grid, to the bit what the three give one after the other.

    Args:
        x: of any shape. ``ends``: (minimum, maximum) of the range, which learn from what they clip.
        grid: (scale, zero_point) of that range, as shipped.
        weight: [1], which takes the gradient of ``slope`` [1], the slope as shipped.
    """
    result: Tensor = _QuantizedPrelu.apply(x, *ends, weight, *grid, slope)
    return result
