"""Narrowed ranges for post-training quantization."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipeline.quantization.clipping import fit_ranges
from pipeline.quantization.grid import ActivationQuantizer, SymmetricQuantizer


def _fitted(x: Tensor, quantizer: ActivationQuantizer) -> tuple[float, float]:
    quantizer.observe(x)
    return fit_ranges(nn.Sequential(quantizer), [x])["0"]


def _error(x: Tensor, low: float, high: float) -> float:
    """Mean squared error of the grid of a range, by its definition."""
    scale = (high - low) / 255
    zero_point = round(-128 - low / scale)
    codes = torch.clamp(torch.round(x / scale) + zero_point, -128, 127)
    return float(((codes - zero_point) * scale - x).square().mean())


def test_rare_extremes_are_clipped_and_the_error_falls() -> None:
    torch.manual_seed(0)
    x, fitted = torch.randn(1, 200_000) ** 3, ActivationQuantizer()
    shares = _fitted(x, fitted)
    assert max(shares) < 0.9
    ends = float(x.min()), float(x.max())
    kept = _error(x, *(end * share for end, share in zip(ends, shares, strict=True)))
    assert kept < 0.9 * _error(x, *ends)
    for factors in ((0.8, 0.8), (1.25, 1.25), (0.8, 1.25), (1.25, 0.8)):  # no range nearby is much better
        assert kept < 1.02 * _error(x, *(end * share * factor for end, share, factor in zip(ends, shares, factors, strict=True)))


def test_uniform_values_keep_their_range() -> None:
    torch.manual_seed(0)
    x, fitted = torch.rand(1, 100_000) * 5 - 2, ActivationQuantizer()
    assert _fitted(x, fitted) == (1, 1)
    assert torch.equal(fitted.minimum, x.min()) and torch.equal(fitted.maximum, x.max())
    assert not fitted.observing


def test_the_end_where_most_values_lie_is_kept() -> None:
    """As behind a norm of what a rectifier gave: most values are the least one, a few lie far above."""
    torch.manual_seed(0)
    x = torch.cat([torch.full((1, 90_000), -0.7), torch.randn(1, 10_000).abs() ** 3], dim=1)
    low, high = _fitted(x, ActivationQuantizer())
    assert low == pytest.approx(1, abs=0.03) and high < 0.9


def test_zeros_have_no_error_that_a_finer_step_would_mend() -> None:
    torch.manual_seed(0)
    x = torch.cat([torch.zeros(1, 99_700), torch.rand(1, 300)], dim=1)
    assert _fitted(x, ActivationQuantizer())[1] == 1


def test_an_end_beyond_the_observed_average_is_found() -> None:
    torch.manual_seed(0)
    fitted, x = ActivationQuantizer(), torch.rand(1, 100_000) * 2 - 1
    fitted.observe(0.95 * x)
    shares = fit_ranges(nn.Sequential(fitted), [x])["0"]
    assert shares == pytest.approx((1 / 0.95, 1 / 0.95), abs=0.03)


def test_zero_stays_an_end_and_a_range_about_zero_symmetric() -> None:
    torch.manual_seed(0)
    x, fitted, symmetric = torch.randn(1, 200_000).abs() ** 3, ActivationQuantizer(), SymmetricQuantizer()
    _, share = _fitted(x, fitted)
    assert share < 0.9
    torch.testing.assert_close(fitted.maximum.detach(), share * x.max())
    assert fitted.minimum == 0 and fitted.grid()[1] == -128
    low, high = _fitted(torch.cat([x, -0.1 * x]), symmetric)
    assert low == high < 0.9
