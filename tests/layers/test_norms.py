"""Each integer norm against its recipe written again in float64 on whole numbers, and against a float norm."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.recipes.int16_elementwise import Int16ElementwiseNorm
from pipeline.layers.global_norm.recipes.runtime_filter import RuntimeFilterNorm
from pipeline.layers.global_norm.recipes.scalar_gain import ScalarGainNorm
from pipeline.layers.quantized_norm import Moments, QuantizedNorm, _FloatStatistics
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.quantize import set_observing
from tests.tiny import NORMS

FRAMES, CHANNELS = 300, 16
KINDS: dict[str, type[QuantizedNorm]] = {
    "runtime-filter": RuntimeFilterNorm,
    "scalar-gain": ScalarGainNorm,
    "int16-elementwise": Int16ElementwiseNorm,
}
HEADROOM = 1.2
Array = np.ndarray


def activations(seed: int, offset: float, level: float = 1.0) -> torch.Tensor:
    """Rectified and skewed, as after a PReLU: [2, T, C]; the loudness moves over time."""
    random = np.random.default_rng(seed)
    loudness = 0.6 + np.abs(np.sin(np.arange(FRAMES) / 40))
    x = random.normal(size=(2, FRAMES, CHANNELS)) * random.uniform(0.5, 2, CHANNELS) * loudness[:, None]
    return torch.from_numpy(np.where(x < 0, 0.2 * x, x) * level + offset).float()


def observed_norm(kind: str, offset: float) -> tuple[QuantizedNorm, ActivationQuantizer]:
    torch.manual_seed(0)
    layer = GlobalLayerNorm(CHANNELS)
    if kind != "scalar-gain":  # its affine part is folded away
        with torch.no_grad():
            layer.gamma.uniform_(0.4, 1.4).mul_(torch.where(torch.rand(CHANNELS) < 0.3, -1.0, 1.0))
            layer.beta.normal_(0, 0.2)
    norm, before = KINDS[kind](layer), ActivationQuantizer()
    norm.connect([before])
    both = nn.ModuleList([norm, before]).train()
    set_observing(both, True)
    for seed in range(20):
        norm(before(activations(seed, offset, 0.8 + 0.02 * seed)))
    set_observing(both, False)
    both.eval()
    return norm, before


def rounded(x: Array) -> Array:
    return np.rint(x)


def int16(x: Array) -> Array:
    return np.clip(np.rint(x), -32768, 32767)


def power(x: float) -> float:
    return 2.0 ** np.ceil(np.log2(x))


def quantize(y: Array, quantizer: ActivationQuantizer) -> Array:
    scale, zero_point = (float(value) for value in quantizer.grid())
    return np.clip(np.rint(y / scale) + zero_point, -128, 127)


def c_statistics(norm: QuantizedNorm, q: Array, s_x: float) -> tuple[float, float, float]:
    """(M, A, scale of A per code): the first two lines of the recipe, on the codes q [T, C] less the zero point."""
    divisor = np.ceil(1.1 * 128 * float(norm.energy_max) / s_x**2 / 255)
    mean = rounded(rounded(q.mean(0)).mean() * 128)
    frame_energy = np.clip(rounded((q**2).mean(1) * 128 / divisor), 0, 255)
    energy = rounded(128 * frame_energy.mean())
    step = float(norm.variance_max) / s_x**2 * HEADROOM**2 / 255
    least = np.ceil(step * 16384 / divisor)
    variance = max(energy - np.trunc(mean * mean / divisor), least)
    variance = np.clip(rounded(variance * divisor / 16384 / step), 0, 255) * step
    rstd_scale = HEADROOM / np.sqrt(float(norm.variance_min) / s_x**2) / 127
    return mean, min(127, rounded(1 / np.sqrt(variance) / rstd_scale)), rstd_scale


def runtime_filter(norm: QuantizedNorm, q: Array, s_x: float, _: float) -> Array:
    mean, amount, rstd_scale = c_statistics(norm, q, s_x)
    gamma, beta = norm.gamma.detach().double().numpy(), norm.beta.detach().double().numpy()
    sign = np.where(gamma < 0, -1, 1)
    step = np.abs(gamma) * rstd_scale
    bias = rounded(beta / step) - np.trunc(mean * amount / 128) * sign
    assert isinstance(norm.output_quantizer, ActivationQuantizer)
    return quantize((q * amount * sign + bias) * step, norm.output_quantizer)


def scalar_gain(norm: QuantizedNorm, q: Array, s_x: float, _: float) -> Array:
    assert isinstance(norm, ScalarGainNorm) and isinstance(norm.output_quantizer, ActivationQuantizer)
    mean, amount, rstd_scale = c_statistics(norm, q, s_x)
    scale, zero_point = (float(value) for value in norm.mean_grid())
    centre = (np.clip(rounded(mean / 128 * s_x / scale) + zero_point, -128, 127) - zero_point) * scale
    inner_scale, inner_zero = (float(value) for value in norm.centred_quantizer.grid())
    centred = (quantize(q * s_x - centre, norm.centred_quantizer) - inner_zero) * inner_scale
    return quantize(centred * amount * rstd_scale / s_x, norm.output_quantizer)


def int16_elementwise(norm: QuantizedNorm, q: Array, s_x: float, z_x: float) -> Array:
    """The fifteen steps of the recipe, one a line."""
    assert isinstance(norm.output_quantizer, ActivationQuantizer)
    gamma, beta = norm.gamma.detach().double().numpy(), norm.beta.detach().double().numpy()
    s = s_x / 128
    x = int16(128 * q)
    per_channel = int16(x.mean(0))
    mean = int16(per_channel.mean())
    deviation = int16(x - mean)
    reach = 128 * max(127 - z_x, 128 + z_x)
    s_square = s * s * power(reach**2 / 32767)
    square = int16(deviation**2 * s * s / s_square)
    per_channel = int16(square.mean(0))
    largest = np.ceil(np.log2(float(norm.variance_max) / s_square))
    s_variance = s_square / 2.0 ** max(0, 14 - largest)
    variance = int16(per_channel.mean() * s_square / s_variance)
    s_8 = float(norm.variance_max) * HEADROOM**2 / 255
    code = np.clip(rounded(variance * s_variance / s_8), 1, 255)
    s_r = power(HEADROOM / np.sqrt(float(norm.variance_min)) / 255)
    rstd = min(255, rounded(1 / np.sqrt(code * s_8) / s_r)) * 128
    s_gamma = power(np.abs(gamma).max()) / 2**14
    s_gain = s_r / 128 * s_gamma * 2**15
    gain = int16(rstd * s_r / 128 * rounded(gamma / s_gamma) * s_gamma / s_gain)
    s_normalised = s * s_gain * max(1.0, power(1.3 * float(norm.normalised_max) * np.abs(gamma).max() / 32767 / (s * s_gain)))
    normalised = int16(deviation * gain * s * s_gain / s_normalised)
    s_beta = np.abs(beta).max() / 32767
    s_16 = float(norm.output_quantizer.grid()[0]) / 120.7
    wide = int16((normalised * s_normalised + rounded(beta / s_beta) * s_beta) / s_16)
    return quantize(wide * s_16, norm.output_quantizer)


ORACLES: dict[str, Callable[[QuantizedNorm, Array, float, float], Array]] = {
    "runtime-filter": runtime_filter,
    "scalar-gain": scalar_gain,
    "int16-elementwise": int16_elementwise,
}
# of SQNR, against a float norm with the same output grid: as published for the recipes; scalar-gain rounds the difference to int8 once more
WORST_LOSS_DB = {"runtime-filter": 1.34, "int16-elementwise": 0.61, "scalar-gain": 10.0}


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


@pytest.mark.parametrize("kind", NORMS)
def test_gradients_are_those_of_the_float_norm(kind: str) -> None:
    norm, before = observed_norm(kind, 0.5)
    x = before(activations(100, 0.5)).detach()
    for name, quantizer in list(norm.named_children()):  # only the norm's own gradient
        passing = _PassWithGrid()
        passing.load_state_dict(quantizer.state_dict())
        setattr(norm, name, passing)
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    gradients = []
    for integer in (True, False):
        leaf = x.clone().requires_grad_()
        if integer:
            y = norm(leaf)
        else:
            mean, variance = leaf.mean((1, 2), keepdim=True), leaf.var((1, 2), keepdim=True, correction=0)
            y = (leaf - mean) * torch.rsqrt(variance) * norm.gamma + norm.beta
        (y * weights).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad.flatten())
    assert float(torch.cosine_similarity(*gradients, dim=0)) > 0.999
    assert float(gradients[0].norm() / gradients[1].norm()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("axes", [(1, 2), (2,)])
def test_gradients_of_the_statistics_are_those_of_their_formulas(axes: tuple[int, ...]) -> None:
    """In float64 against torch's own derivatives; the last example is constant, so that its variance is held at the least value."""
    x = torch.from_numpy(np.random.default_rng(4).normal(0.3, 2, (3, 11, 5)))
    x[2] = 0.25
    shape = [3, 1 if 1 in axes else 11, 1]
    upstream = [torch.from_numpy(np.random.default_rng(seed).normal(size=shape)) for seed in (5, 6)]
    leaf, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    mean = plain.mean(axes, keepdim=True)
    variance = (plain.square().mean(axes, keepdim=True) - mean.square()).clamp(min=1e-12)
    expected = mean, torch.rsqrt(variance)
    actual = _FloatStatistics.apply(leaf, Moments(mean.detach(), variance.detach(), x.square().mean(2, keepdim=True)))
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)
    for statistics in (actual, expected):
        torch.autograd.backward(statistics, upstream)
    assert leaf.grad is not None and plain.grad is not None
    torch.testing.assert_close(leaf.grad, plain.grad, rtol=1e-9, atol=1e-12)


def values_and_gradients(norm: ScalarGainNorm, values: torch.Tensor) -> list[torch.Tensor]:
    """y, then the gradients of x and of the four ends of ranges."""
    x = values.clone().requires_grad_()
    assert isinstance(norm.output_quantizer, ActivationQuantizer)
    norm.zero_grad()
    y = norm(x)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)))
    quantizers = norm.centred_quantizer, norm.output_quantizer
    gradients = [x.grad, *(end.grad for quantizer in quantizers for end in (quantizer.minimum, quantizer.maximum))]
    return [y.detach(), *(gradient.clone() for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("narrowed", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.4), (0.6, 0.6)])
@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_one_pass_equals_the_four_operations(offset: float, narrowed: tuple[float, float]) -> None:
    """As in eval mode, also where one grid or both saturate: outputs to the bit, gradients to the order of their sums."""
    norm, before = observed_norm("scalar-gain", offset)
    assert isinstance(norm, ScalarGainNorm) and isinstance(norm.output_quantizer, ActivationQuantizer)
    with torch.no_grad():
        for quantizer, share in zip((norm.centred_quantizer, norm.output_quantizer), narrowed, strict=True):
            quantizer.minimum.mul_(share)
            quantizer.maximum.mul_(share)
    norm.frozen = True
    x = before(activations(100, offset)).detach()
    fused, plain = values_and_gradients(norm.train(), x), values_and_gradients(norm.eval(), x)
    assert len(fused) == len(plain) == 6
    assert torch.equal(fused[0], plain[0])
    for one, other in zip(fused[1:], plain[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()) + 1e-4)


@pytest.mark.slow
def test_the_compiled_pass_equals_the_plain_one() -> None:
    """Training may run it compiled; the forward pass must not differ by a bit from what is exported."""
    norm, before = observed_norm("scalar-gain", 0.5)
    assert isinstance(norm, ScalarGainNorm)
    norm.train().frozen = True
    x = before(activations(100, 0.5)).detach()
    plain = values_and_gradients(norm, x)
    torch.compiler.set_stance("default")
    compiled = values_and_gradients(norm, x)
    assert torch.equal(plain[0], compiled[0])
    for one, other in zip(plain[1:], compiled[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_moments_of_codes_are_those_of_the_values(offset: float) -> None:
    norm, before = observed_norm("runtime-filter", offset)
    x = before(activations(100, offset)).detach()
    of_codes, of_values = norm.moments(x), norm.float_moments(x)
    for name in ("mean", "variance", "energy"):
        torch.testing.assert_close(getattr(of_codes, name), getattr(of_values, name), rtol=1e-5, atol=1e-6)


class _PassWithGrid(ActivationQuantizer):
    """Has a grid, and passes everything on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


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
