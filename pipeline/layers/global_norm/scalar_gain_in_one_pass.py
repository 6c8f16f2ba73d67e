"""The two int8 operations of the recipe ``scalar-gain``, ``Q(Q(x - mean) * rstd)``, in one pass, and their gradients in two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pipeline.compiler import compiler_available
from pipeline.layers.quantized_norm import Moments
from pipeline.quantization.grid import QMAX, QMIN

Grid = tuple[Tensor, Tensor]  # (scale, zero_point), or (minimum, maximum)


def _forward_kernel(x: Tensor, centre: Tensor, gain: Tensor, inner: Grid, outer: Grid) -> Tensor:
    centred = (((x - centre) / inner[0]).round() + inner[1]).clamp(QMIN, QMAX).sub(inner[1]).mul(inner[0])
    return ((centred * gain / outer[0]).round() + outer[1]).clamp(QMIN, QMAX).sub(outer[1]).mul(outer[0])


def _gradient_kernel(gradient: Tensor, x: Tensor, centre: Tensor, gain: Tensor, inner: Grid, outer: Grid) -> tuple[Tensor, ...]:
    """Gradient of x [B, n], then sums over n [B, 1]: for centre, gain, and step, minimum and maximum of the inner and the outer grid."""
    ratio = (x - centre) / inner[0]
    code = ratio.round() + inner[1]
    centred = code.clamp(QMIN, QMAX).sub(inner[1]).mul(inner[0])
    out_ratio = centred * gain / outer[0]
    out_code = out_ratio.round() + outer[1]
    of_product = gradient.masked_fill((out_code < QMIN) | (out_code > QMAX), 0.0)
    of_centred = of_product * gain
    of_x = of_centred.masked_fill((code < QMIN) | (code > QMAX), 0.0)
    summed = (
        -of_x,
        of_product * centred,
        of_x * (code - inner[1] - ratio),
        of_centred * (code < QMIN),
        of_centred * (code > QMAX),
        of_product * (out_code - outer[1] - out_ratio),
        gradient * (out_code < QMIN),
        gradient * (out_code > QMAX),
    )
    return of_x, *(values.sum(1, keepdim=True) for values in summed)


def _sum_kernel(of_x: Tensor, x: Tensor, offset: Tensor, slope: Tensor) -> Tensor:
    return of_x + (offset - x * slope)


if compiler_available():  # for rows of any number and length; without a compiler op by op
    _forward_kernel = torch.compile(_forward_kernel, dynamic=True)
    _gradient_kernel = torch.compile(_gradient_kernel, dynamic=True)
    _sum_kernel = torch.compile(_sum_kernel, dynamic=True)


class _QuantizedNormalisation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, moments: Moments, centre: Tensor, gain: Tensor, inner: Grid, outer: Grid, *_: Tensor) -> Tensor:
        ctx.moments = moments
        ctx.save_for_backward(x, centre, gain, *inner, *outer)
        return _forward_kernel(_rows(x), _rows(centre), _rows(gain), inner, outer).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, centre, gain, *grids = ctx.saved_tensors
        rows = _rows(x)
        of_x, *sums = _gradient_kernel(_rows(gradients[0]), rows, _rows(centre), _rows(gain), tuple(grids[:2]), tuple(grids[2:]))
        offset, slope = ctx.moments.gradient(rows.shape[1], sums[0].view(centre.shape), sums[1].view(centre.shape))
        ends = []
        for step, below, above in (sums[2:5], sums[5:]):
            share = step.sum() / (QMAX - QMIN)
            ends += [below.sum() - share, above.sum() + share]
        return _sum_kernel(of_x, rows, _rows(offset), _rows(slope)).view(x.shape), None, None, None, None, None, *ends


def _rows(x: Tensor) -> Tensor:
    """Values [B, ...] as a matrix [B, n] that is no view, for the compiler (see :func:`pipeline.quantization.grid.flat`)."""
    rows: Tensor = torch.empty(0, dtype=x.dtype).set_(x.detach().reshape(len(x), -1))  # type: ignore[call-overload]
    return rows


def quantized_normalisation(
    x: Tensor, moments: Moments, centre: Tensor, gain: Tensor, grids: tuple[Grid, Grid], ends: tuple[Grid, Grid]
) -> Tensor:
    """The normalised x [B, T, C] on its output grid, to the bit what the four operations give one after the other.

    Args:
        moments: of x, over time and channels; what ``centre`` and ``gain`` [B, 1, 1] stand for has the gradients of their float values.
        grids: (scale, zero_point) of the difference and of the product. ``ends``: (minimum, maximum) of the ranges of both.
    """
    result: Tensor = _QuantizedNormalisation.apply(x, moments, centre, gain, *grids, *ends[0], *ends[1])
    return result
