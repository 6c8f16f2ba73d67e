"""The recipes of the integer norms written again in float64 on whole numbers, and norms that observed activations."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.recipes.convolved_sums import ConvolvedSumsNorm
from pipeline.layers.global_norm.recipes.int16_elementwise import Int16ElementwiseNorm
from pipeline.layers.global_norm.recipes.runtime_filter import RuntimeFilterNorm
from pipeline.layers.global_norm.recipes.scalar_gain import ScalarGainNorm
from pipeline.layers.quantized_norm import QuantizedNorm
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.quantize import set_observing

FRAMES, CHANNELS = 300, 16
KINDS: dict[str, type[QuantizedNorm]] = {
    "runtime-filter": RuntimeFilterNorm,
    "scalar-gain": ScalarGainNorm,
    "int16-elementwise": Int16ElementwiseNorm,
    "convolved-sums": ConvolvedSumsNorm,
}
WITHOUT_AFFINE = ("scalar-gain", "convolved-sums")  # gamma and beta are folded away
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
    if kind not in WITHOUT_AFFINE:
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


def convolved_sums(norm: QuantizedNorm, q: Array, s_x: float, _: float) -> Array:
    """Means of frames, their mean, the difference, its squares, their means over channels, and the mean of these, one a line."""
    assert isinstance(norm, ConvolvedSumsNorm) and isinstance(norm.output_quantizer, ActivationQuantizer)

    def grid(low: float, high: float) -> tuple[float, float]:
        scale = HEADROOM * (high - low) / 255
        return scale, rounded(-128 - HEADROOM * low / scale)

    def on(y: Array, scale: float, zero: float) -> Array:
        return np.asarray((np.clip(rounded(y / scale) + zero, -128, 127) - zero) * scale)

    frames = on(q.mean(1) * s_x, *grid(float(norm.frame_mean_low), float(norm.frame_mean_high)))
    mean = on(frames.mean(), *(float(value) for value in norm.mean_grid()))
    s_d, z_d = (float(value) for value in norm.centred_quantizer.grid())
    d = quantize(q * s_x - mean, norm.centred_quantizer) - z_d
    largest = max(127 - z_d, z_d + 128) ** 2
    usual = np.sqrt(float(norm.variance_max) * float(norm.variance_min)) / s_d**2
    fine = min(51, next(odd for odd in range(1, 999, 2) if odd >= usual / 8))
    divisors = [fine, 1275 * fine] if largest > 637.5 * fine else [next(odd for odd in range(1, 999, 2) if odd >= largest / 255)]
    s_energy = HEADROOM * float(norm.deviation_max) / 255
    parts = [on(on((d * s_d) ** 2, divisor * s_d**2, -128).mean(1), s_energy, -128) for divisor in divisors]
    energies = on(np.sum(parts, axis=0), s_energy, -128)
    s_8 = HEADROOM**2 * float(norm.variance_max) / 255
    variance = np.clip(rounded(energies.mean() / s_8), 1e-9, 255) * s_8
    s_r = float(norm.rstd_grid())
    assert 1 < s_r / (HEADROOM / np.sqrt(float(norm.variance_min)) / 255) < 1 + 2**-9
    return quantize(d * s_d * min(255, rounded(1 / np.sqrt(variance) / s_r)) * s_r, norm.output_quantizer)


ORACLES: dict[str, Callable[[QuantizedNorm, Array, float, float], Array]] = {
    "runtime-filter": runtime_filter,
    "scalar-gain": scalar_gain,
    "int16-elementwise": int16_elementwise,
    "convolved-sums": convolved_sums,
}
# of SQNR, against a float norm with the same output grid: as published for the recipes; the last two round the difference to int8 once more
WORST_LOSS_DB = {"runtime-filter": 1.34, "int16-elementwise": 0.61, "scalar-gain": 10.0, "convolved-sums": 10.0}
