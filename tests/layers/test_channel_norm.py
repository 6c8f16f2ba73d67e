"""cLN in whole numbers against a second formula, a float64 layer norm and its own promises: silence, causality, gradients."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from pipeline.layers.channel_norm.float import ChannelLayerNorm
from pipeline.layers.channel_norm.quantized import QuantizedChannelNorm, amplification_table, energy_codes, gain_table, subtract_mean
from pipeline.quantization.fold_affine import fold_affine
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.quantize import freeze_statistics, set_observing
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.trace import trace
from tests.tiny import NORMS, quantized_network, tiny_network, tiny_spec, waveforms

FRAMES, RANGE_DB = 400, 46
Array = np.ndarray


def activations(seed: int, channels: int, offset: float = 0.0) -> Tensor:
    """As after a PReLU, each frame at its own level over 46 dB, every 40th silent: [2, T, C]."""
    random = np.random.default_rng(seed)
    level = 10 ** (-random.uniform(0, RANGE_DB, (2, FRAMES, 1)) / 20)
    x = (random.normal(size=(2, FRAMES, channels)) * random.uniform(0.5, 2, channels) + offset) * level
    x[:, ::40] = 0
    return torch.from_numpy(np.where(x < 0, 0.2 * x, x)).float()


def observed_norm(channels: int, offset: float = 0.0) -> tuple[QuantizedChannelNorm, ActivationQuantizer]:
    norm, before = QuantizedChannelNorm(ChannelLayerNorm(channels)), ActivationQuantizer()
    norm.connect([before])
    both = nn.ModuleList([norm, before]).train()
    set_observing(both, True)
    for seed in range(20):
        norm(before(activations(seed, channels, offset)))
    set_observing(both, False)
    both.eval()
    return norm, before


def grid(quantizer: nn.Module) -> tuple[float, float]:
    scale, zero_point = quantizer.grid()  # type: ignore[operator]
    return float(scale), float(zero_point)


def recipe(norm: QuantizedChannelNorm, q: Array, s_x: float, z_x: float) -> Array:
    """Output codes of the integer recipe, one line a step, on the codes q [T, C] less the zero point."""
    assert isinstance(norm.output_quantizer, ActivationQuantizer)
    channels = q.shape[1]
    s_y, z_y = grid(norm.output_quantizer)
    below = max(-float(norm.deviation_low) / s_x, z_y + 128, 1)
    above = max(float(norm.deviation_high) / s_x, 127 - z_y, 1)
    zero = min(126, max(-127, np.rint(255 * below / (below + above)) - 128))
    room = min((zero + 128) / max(1, z_y + 128), (127 - zero) / max(1, 127 - z_y)) / s_y

    def clip(codes: Array) -> Array:
        return np.clip(codes, -128 - zero, 127 - zero)

    def index(codes: Array, top: float) -> Array:
        """Coarse code (255 at a deviation of ``top``) plus the one of 16 times finer steps."""
        energy = (codes**2).mean(1) / top**2 * 255
        return sum(np.minimum(255, np.rint(energy * factor)) for factor in (1, 16))  # type: ignore[return-value]

    def energy(codes: Array) -> Array:
        return np.where(codes > 270, codes - 255, codes / 17)  # of 255 coarse steps; the fine ones end at 255 / 16 coarse ones

    d = clip(q - np.rint(q.mean(1, keepdims=True) - 0.25 / channels))
    at_least = np.sqrt((energy(index(d, room / 2)) + 0.5 / 17) / 255) / 2
    n = clip(d * np.clip(np.floor(1 / at_least), 1, 127)[:, None])
    n = clip(n - np.rint(n.mean(1, keepdims=True) - 0.25 / channels))
    deviation = 4.4 * np.sqrt(energy(index(n, 4.4 * room)) / 255)
    gain = np.minimum(255, np.rint(255 / 2 / np.maximum(deviation, 1e-9)))
    step = s_x * float(norm.constants().gain_scale)  # in float64 a trifle above the formula's, so that no product is a tie
    assert 1 < step / (2 / 255 / room) < 1 + 2**-9
    return np.clip(np.rint(n * gain[:, None] * step / s_y) + z_y, -128, 127)


@pytest.mark.parametrize(("channels", "offset"), [(64, 0.0), (128, 1.5), (512, -0.7), (20, 0.3)])
def test_the_norm_is_its_recipe_in_whole_numbers(channels: int, offset: float) -> None:
    norm, before = observed_norm(channels, offset)
    s_x, z_x = grid(before)
    s_y, z_y = grid(norm.output_quantizer)
    x = before(activations(100, channels, offset)).detach()
    y = np.rint(norm(x).detach().double().numpy() / s_y) + z_y
    for row in range(2):
        difference = np.abs(y[row] - recipe(norm, np.rint(x[row].double().numpy() / s_x), s_x, z_x))
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.001


@pytest.mark.parametrize(("channels", "offset"), [(64, 0.0), (128, 1.5), (512, 0.0)])
def test_loud_and_quiet_frames_are_nearly_as_good_as_from_a_float_norm(channels: int, offset: float) -> None:
    """Against LN in float64 on the same int8 input; the float norm's own loss is the rounding of its output."""
    norm, before = observed_norm(channels, offset)
    x = torch.cat([before(activations(seed, channels, offset)).detach() for seed in range(100, 104)]).double()
    deviation = x.std(2, keepdim=True, correction=0)
    exact = torch.where(deviation > 0, (x - x.mean(2, keepdim=True)) / deviation.clamp(min=1e-9), 0)
    rounded = norm.output_quantizer(exact.float()).double()
    codes = (deviation / grid(before)[0])[..., 0]
    for low, high in ((0.5, 2), (2, 8), (8, 128)):
        frames = (codes >= low) & (codes < high)
        assert int(frames.sum()) > 100
        errors = [float((y.double() - exact)[frames].square().mean()) for y in (rounded, norm(x.float()))]
        assert 10 * np.log10(errors[1] / errors[0]) < 8


def test_silent_and_constant_frames_give_zero_and_extremes_stay_finite() -> None:
    norm, before = observed_norm(64)
    usual = activations(0, 64)
    for level in (0.0, 0.5, -0.2, 9.0):
        assert not norm(before(torch.full_like(usual, level))).any()
    for x in (100 * usual, 1e-3 * usual, -usual):
        assert bool(norm(before(x)).isfinite().all())


def test_gradients_are_those_of_the_float_norm_and_bounded_in_silence() -> None:
    norm, before = observed_norm(64, 0.5)
    x = before(activations(100, 64, 0.5)).detach()
    loud = x.std(2) > 0.05
    passing = _PassWithGrid()
    passing.load_state_dict(norm.output_quantizer.state_dict())
    norm.output_quantizer = passing
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    gradients = []
    for integer in (True, False):
        leaf = x.clone().requires_grad_()
        mean, variance = leaf.mean(2, keepdim=True), leaf.var(2, keepdim=True, correction=0)
        y = norm(leaf) if integer else (leaf - mean) * torch.rsqrt(variance + 1e-12)
        (y * weights).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    assert float(torch.cosine_similarity(gradients[0][loud].flatten(), gradients[1][loud].flatten(), dim=0)) > 0.999
    largest_gain = 127 * 255 * float(norm.constants().gain_scale)
    assert float(gradients[0].abs().max()) < 10 * largest_gain


class _PassWithGrid(ActivationQuantizer):
    """Has a grid, and passes everything on."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_later_frame_changes_no_earlier_one() -> None:
    norm, before = observed_norm(64)
    x = before(activations(100, 64)).detach()
    changed = torch.cat([x[:, :200], before(activations(101, 64))[:, 200:]], dim=1)
    assert torch.equal(norm(x)[:, :200], norm(changed)[:, :200])


def test_statistics_follow_new_extremes_and_can_be_frozen() -> None:
    norm, _ = observed_norm(64)
    loud = 3 * activations(50, 64)
    norm.train()
    freeze_statistics(nn.ModuleList([norm]), True)
    high = float(norm.deviation_high)
    norm(loud)
    assert float(norm.deviation_high) == high
    freeze_statistics(nn.ModuleList([norm]), False)
    norm(loud)
    assert float(norm.deviation_high) == pytest.approx(float((loud - loud.mean(2, keepdim=True)).max()))


@settings(max_examples=60, deadline=None)
@given(arrays(np.int8, st.tuples(st.integers(1, 5), st.integers(1, 600))), st.integers(-128, 127), st.integers(-127, 126))
def test_centring_is_exact(codes: Array, zero_point: int, new_zero_point: int) -> None:
    q = codes.astype(int) - zero_point
    codes = torch.from_numpy(q)[None].float()
    result = subtract_mean(codes, codes, torch.tensor(float(zero_point)), torch.tensor(float(new_zero_point)))[0]
    for row, got in zip(q, result.numpy().astype(int), strict=True):
        mean = Fraction(int(row.sum()), len(row))
        nearest = -((-mean + Fraction(1, 2)) // 1)  # halves go down, as the negative mean's go up
        expected = np.clip(row - int(nearest), -128 - new_zero_point, 127 - new_zero_point)
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=300, deadline=None)
@given(st.floats(-14, 5), st.integers(1, 600))
def test_gains_bring_any_energy_to_one(log2: float, channels: int) -> None:
    """A frame of deviation 2^log2 rooms: the first gain keeps it in its room, the second makes its deviation 1 to 2 %."""
    deviation = 2.0**log2

    def index(value: float, top: float) -> int:
        scale = torch.tensor(top**2 * channels / 255)
        scales = (scale, scale / 16)
        return int(energy_codes(torch.full((1, 1, channels), value), torch.tensor(1.0), scales))

    first = float(amplification_table()[index(deviation, 0.5)])
    amplified = first * deviation
    assert 1 <= first <= 127
    assert amplified <= max(1.05, deviation)
    assert amplified >= 0.49 or first == 127
    second = float(gain_table()[index(amplified, 4.4)]) / 255 * 2
    if amplified < 4.4 and first < 127:
        assert second * amplified == pytest.approx(1, abs=0.04 if amplified > 1.1 else 0.02)


@pytest.mark.parametrize("kind", NORMS)
def test_every_recipe_takes_causal_networks(kind: str) -> None:
    spec = tiny_spec(causal=True)
    twin = quantized_network(spec, Recipe("fqss", kind))  # type: ignore[arg-type]
    assert sum(isinstance(module, QuantizedChannelNorm) for module in twin.modules()) == 5
    network, mixture = tiny_network(spec).eval(), waveforms(1, spec.segment_samples, 40)
    with torch.no_grad():
        expected, got = network(mixture), twin(mixture)
    assert float(10 * torch.log10(expected.square().sum() / (expected - got).square().sum())) > 10


def test_a_causal_twin_trains_with_silence_in_the_mixture() -> None:
    spec = tiny_spec(causal=True)
    twin = quantized_network(spec, Recipe("fqss", "scalar-gain")).train()
    mixture = waveforms(2, spec.segment_samples, 40)
    mixture[:, 200:400] = 0
    twin(mixture).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in twin.named_parameters() if parameter.grad is not None}
    assert len(gradients) > 40
    for name, gradient in gradients.items():
        assert bool(gradient.isfinite().all()), name


def test_folded_network_is_the_same_function_away_from_the_padding() -> None:
    spec = tiny_spec(causal=True)
    network = tiny_network(spec).eval()
    mixture = waveforms(1, spec.segment_samples, 3)
    with torch.no_grad():
        expected = network(mixture)
        assert fold_affine(network, trace(network), Recipe("fqss", "runtime-filter"))
        got = network(mixture)
    padded = 16 + 8 * 2 * (1 + 2)  # a kernel of samples and two dilated kernels of three frames
    torch.testing.assert_close(got[..., padded:], expected[..., padded:], rtol=1e-3, atol=1e-4)


def test_folding_leaves_other_norms_alone() -> None:
    network = tiny_network(tiny_spec())
    assert not fold_affine(network, trace(network), Recipe("fqss", "runtime-filter"))


def test_a_causal_twin_does_not_look_ahead() -> None:
    spec = tiny_spec(causal=True)
    twin = quantized_network(spec, Recipe("fqss", "scalar-gain"))
    mixture = waveforms(1, spec.segment_samples, 40)
    changed = torch.cat([mixture[:, :400], waveforms(1, spec.segment_samples, 41)[:, 400:]], dim=1)
    with torch.no_grad():
        before, after = twin(mixture), twin(changed)
    known = 400 - 2 * spec.network.kernel_size  # the frames of a sample, and those that the correction reads around it
    assert torch.equal(before[..., :known], after[..., :known])
    assert not torch.equal(before[..., 400:], after[..., 400:])
