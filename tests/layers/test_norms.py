"""Each integer norm against its recipe written again in float64 on whole numbers, and against a float norm."""

import numpy as np
import pytest
import torch

from pipeline.layers.global_norm.recipes.runtime_filter import RuntimeFilterNorm
from pipeline.layers.global_norm.recipes.scalar_gain import ScalarGainNorm
from pipeline.quantization.grid import ActivationQuantizer
from tests.layers.norm_recipes import HEADROOM, ORACLES, WORST_LOSS_DB, activations, observed_norm
from tests.tiny import NORMS


def test_every_recipe_is_covered() -> None:
    assert set(NORMS) == set(ORACLES)


@pytest.mark.parametrize("offset", [0.0, 1.5, -0.7])
@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_is_its_recipe_in_whole_numbers(kind: str, offset: float) -> None:
    norm, before = observed_norm(kind, offset)
    scale, zero_point = (float(value) for value in before.grid())
    assert isinstance(norm.output_quantizer, ActivationQuantizer)
    out_scale, out_zero = (float(value) for value in norm.output_quantizer.grid())
    for seed in range(100, 104):
        x = before(activations(seed, offset)).detach()
        y = np.rint(norm(x).detach().double().numpy() / out_scale) + out_zero
        for row in range(2):
            expected = ORACLES[kind](norm, np.rint(x[row].double().numpy() / scale), scale, zero_point)
            difference = np.abs(y[row] - expected)
            assert difference.max() <= 1
            assert (difference > 0).mean() <= 0.001


@pytest.mark.parametrize("offset", [0.0, 1.5])
@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_is_nearly_as_good_as_a_float_norm_between_the_same_grids(kind: str, offset: float) -> None:
    norm, before = observed_norm(kind, offset)
    gamma, beta = norm.gamma.detach(), norm.beta.detach()
    losses = []
    for seed in range(100, 110):
        x = before(activations(seed, offset, 1.0)).detach()
        exact = (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True, correction=0) * gamma + beta
        errors = [float((y.detach() - exact).square().mean()) for y in (norm.output_quantizer(exact), norm(x))]
        losses.append(10 * np.log10(errors[1] / errors[0]))
    assert max(losses) < WORST_LOSS_DB[kind]


@pytest.mark.parametrize("kind", NORMS)
def test_inputs_beyond_the_observed_levels_stay_finite(kind: str) -> None:
    norm, before = observed_norm(kind, 0.0)
    usual = activations(0, 0.0)
    for x in (torch.zeros_like(usual), 100 * usual, 1e-3 * usual, torch.full_like(usual, 9.0)):
        assert bool(norm(before(x)).isfinite().all())


@pytest.mark.parametrize("level", [0.1, 0.5, 1.0, 3.0])
def test_every_runtime_forms_the_same_multiplier_of_the_product(level: float) -> None:
    """LiteRT forms s_a * s_b / s_out in float32, TFLM in double; both keep 31 bits of it."""
    norm, _ = observed_norm("scalar-gain", 0.5)
    assert isinstance(norm, ScalarGainNorm) and isinstance(norm.output_quantizer, ActivationQuantizer)
    with torch.no_grad():
        norm.output_quantizer.maximum.mul_(level)
    scales = [norm.rstd_grid().numpy(), *(quantizer.grid()[0].numpy() for quantizer in (norm.centred_quantizer, norm.output_quantizer))]
    single = scales[1] * scales[0] / scales[2]
    double = scales[1].astype(float) * scales[0].astype(float) / scales[2].astype(float)
    parts = [np.frexp(np.float64(multiplier)) for multiplier in (single, double)]
    assert len({(round(mantissa * 2**31), exponent) for mantissa, exponent in parts}) == 1
    plain = RuntimeFilterNorm.constants(norm)
    assert 1 < float(norm.rstd_grid() * plain.x_scale / plain.rstd_scale) < 1 + 2**-9


@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_moments_of_codes_are_those_of_the_values(offset: float) -> None:
    norm, before = observed_norm("runtime-filter", offset)
    x = before(activations(100, offset)).detach()
    of_codes, of_values = norm.moments(x), norm.float_moments(x)
    for name in ("mean", "variance", "energy"):
        torch.testing.assert_close(getattr(of_codes, name), getattr(of_values, name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", NORMS)
def test_statistics_follow_a_new_extreme_at_once_and_are_frozen_outside_training(kind: str) -> None:
    norm, _ = observed_norm(kind, 0.0)
    loud = activations(50, 0.0, 3.0)
    with torch.no_grad():
        state = float(norm.variance_max), float(norm.variance_min)
        norm(loud)
        assert (float(norm.variance_max), float(norm.variance_min)) == state
        norm.train()
        norm.frozen = True
        norm(loud)
        assert (float(norm.variance_max), float(norm.variance_min)) == state
        norm.frozen = False
        norm(loud)
    assert float(norm.variance_max) == pytest.approx(float(loud.var((1, 2), correction=0).max()), rel=1e-4)
    assert state[1] <= float(norm.variance_min) <= state[1] * 1.5


def test_a_mean_near_zero_stays_within_what_xnnpack_takes() -> None:
    """Its scale is at least 2^-10 of the difference's, and no code of it is cut off."""
    norm, _ = observed_norm("scalar-gain", 0.0)
    assert isinstance(norm, ScalarGainNorm)
    scales = []
    for low, high in ((-1e-6, 0.0), (0.0, 1e-6), (-1e-5, 3e-6), (0.0, 0.0), (-0.5, 0.3)):
        norm.mean_low.fill_(low)
        norm.mean_high.fill_(high)
        scale, zero_point = (float(value) for value in norm.mean_grid())
        assert scale / float(norm.centred_quantizer.grid()[0]) > 2.0**-10
        codes = np.rint(np.array([low, high]) / scale) + zero_point
        assert (codes >= -128).all() and (codes <= 127).all()
        scales.append(scale)
    assert len(set(scales[:4])) == 1 and scales[4] == pytest.approx(0.8 * HEADROOM / 255)
