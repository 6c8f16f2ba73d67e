"""Narrowed ranges for post-training quantization."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.quantization.clipping import fit_ranges
from pipeline.quantization.grid import ActivationQuantizer


def _fitted(x: torch.Tensor) -> tuple[float, ActivationQuantizer]:
    quantizer = ActivationQuantizer()
    quantizer.observe(x)
    shares = fit_ranges(nn.Sequential(quantizer), [x])
    return shares["0"], quantizer


def test_rare_extremes_are_clipped_and_the_error_falls() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 200_000) ** 3
    plain = ActivationQuantizer()
    plain.observe(x)
    share, fitted = _fitted(x)
    assert share < 1
    with torch.no_grad():
        assert (fitted(x) - x).square().mean() < 0.9 * (plain(x) - x).square().mean()


def test_uniform_values_keep_their_range() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 100_000) * 5 - 2
    share, fitted = _fitted(x)
    assert share == 1
    assert torch.equal(fitted.minimum, x.min()) and torch.equal(fitted.maximum, x.max())
    assert not fitted.observing


def test_both_ends_shrink_and_zero_stays_on_the_grid() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 200_000).abs() ** 3
    share, fitted = _fitted(x)
    assert share < 1
    torch.testing.assert_close(fitted.maximum.detach(), share * x.max())
    assert fitted.minimum == 0 and fitted.grid()[1] == -128
