"""The integer twin of HTDemucs and its parts, against formulas in float64 and integer arithmetic."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.layers.activation import Activation, QuantizedActivation
from pipeline.layers.attention.float import CrossHeads
from pipeline.layers.attention.quantized import QuantizedCrossHeads
from pipeline.layers.branch_ends.float import FirstTimeConv, LastSpectrumUpsampling, LastTimeUpsampling
from pipeline.layers.branch_ends.quantized import ByteConvolution, ReconstructingUpsampling, SplitConvolution
from pipeline.layers.channel_norm.quantized import energy_coarseness
from pipeline.layers.plain import to_plain_layers
from pipeline.layers.quantized_layer import quantized_bias
from pipeline.layers.sequence_norm.float import SequencesNorm
from pipeline.layers.sequence_norm.quantized import QuantizedSequencesNorm
from pipeline.networks.htdemucs.cross_transformer import LayerScale
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, ProductQuantizer, agreed_output, round_mantissa
from pipeline.quantization.quantize import observe, quantize, set_observing
from pipeline.quantization.recipe import Recipe
from tests.tiny import RECIPES, mixtures, quantized_network, recipe_name, tiny_htdemucs, tiny_network


def sqnr(expected: torch.Tensor, got: torch.Tensor) -> float:
    return float(10 * torch.log10(expected.square().sum() / (expected - got).square().sum()))


@pytest.mark.parametrize("samples", [1664, 1663, 1000])
def test_plain_layers_compute_the_same(samples: int) -> None:
    network = tiny_network(tiny_htdemucs(t_layers=3)).eval().double()
    plain = copy.deepcopy(network)
    to_plain_layers(plain)
    mixture = torch.randn(2, 2, samples, dtype=torch.float64)
    with torch.no_grad():
        expected = network(mixture)
        torch.testing.assert_close(plain(mixture), expected, atol=1e-9 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("recipe", RECIPES, ids=recipe_name)
def test_twin_is_near_the_float_network(recipe: Recipe) -> None:
    spec = tiny_htdemucs()
    network, twin, mixture = tiny_network(spec).eval(), quantized_network(spec, recipe), mixtures(spec, 2, seed=50)
    with torch.no_grad():
        assert sqnr(network(mixture), twin(mixture)) > 12  # random weights


def test_a_training_step_reaches_every_parameter_and_lowers_the_loss() -> None:
    spec = tiny_htdemucs()
    teacher, twin, mixture = (
        tiny_network(spec).eval(),
        quantized_network(spec, Recipe("fqss", "scalar-gain")).train(),
        mixtures(spec, 2, seed=51),
    )
    trained = {name: parameter for name, parameter in twin.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.Adam(trained.values(), 1e-4)
    with torch.no_grad():
        target = teacher(mixture)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = (twin(mixture) - target).abs().mean()
        loss.backward()
        losses.append(float(loss))
        optimizer.step()
    unreached = [name for name, parameter in trained.items() if parameter.grad is None and "long_weights" not in name]
    assert not unreached
    assert all(torch.isfinite(parameter.grad).all() for parameter in trained.values() if parameter.grad is not None)
    assert losses[-1] < losses[0]


def on_grid(quantizer: ActivationQuantizer, low: float, high: float) -> ActivationQuantizer:
    with torch.no_grad():
        quantizer.minimum.fill_(low)
        quantizer.maximum.fill_(high)
    return quantizer


@pytest.mark.parametrize("levels", [0.0, 40.0])
def test_norm_of_sequences_is_group_norm_of_each(levels: float) -> None:
    """Sequences whose levels lie ``levels`` dB apart, against float64; some fall below a code of the common grid."""
    torch.manual_seed(0)
    gains = 10 ** (-torch.linspace(0, levels, 6) / 20)
    x = (torch.randn(2, 6, 50, 4) + 0.3) * gains[:, None, None]
    norm = QuantizedSequencesNorm(SequencesNorm(4))
    source = on_grid(ActivationQuantizer(), float(x.min()), float(x.max()))
    norm.connect([source])
    codes = source(x).detach()
    set_observing(norm, True)
    norm.train()(codes)
    set_observing(norm, False)
    wide = codes.double().flatten(2)
    expected = ((wide - wide.mean(2, keepdim=True)) / wide.std(2, correction=0, keepdim=True)).view(x.shape)
    result = norm.eval()(codes).detach().double()
    for sequence in range(6):
        assert sqnr(expected[:, sequence], result[:, sequence]) > 24


def test_norm_of_silent_sequences_is_silent() -> None:
    norm = QuantizedSequencesNorm(SequencesNorm(4))
    norm.connect([on_grid(ActivationQuantizer(), -1, 1)])
    set_observing(norm, True)
    norm.train()(torch.randn(1, 3, 20, 4).clamp(-1, 1))
    set_observing(norm, False)
    assert not norm.eval()(torch.zeros(1, 3, 20, 4)).any()


def test_gelu_is_that_of_erf_but_for_what_the_sigmoid_leaves() -> None:
    """x * sigmoid(1.702 x) is 0.0203 away from GELU at most; grids add half a step of the output and of the gate times x."""
    layer = QuantizedActivation(Activation("gelu"))
    source = on_grid(ActivationQuantizer(), -3.0, 3.0)
    layer.connect([source])
    on_grid(layer.output_quantizer, -0.2, 3.0)  # type: ignore[arg-type]
    x = source(torch.linspace(-3, 3, 999)).detach()
    expected = [value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x.double().tolist()]
    difference = np.abs(layer(x).detach().double().numpy() - expected)
    assert difference.max() < 0.0203 + 0.5 * 3.2 / 255 + 3 / 512
    assert difference.max() > 0.01


@settings(deadline=None)
@given(st.integers(1, 2_000_000))
def test_no_energy_overflows(values: int) -> None:
    """The coarser codes are at most ceil(255 / coarseness) from their zero point, as the converter counts them."""
    coarseness = energy_coarseness(values)
    largest = math.ceil(255 / coarseness)
    assert values * largest**2 <= 2**31 - 1
    assert (coarseness == 1) == (values <= 33_025)


@settings(deadline=None)
@given(st.floats(1e-4, 1), st.floats(1e-4, 1), st.floats(1e-4, 1))
def test_a_product_s_multiplier_is_the_same_in_single_and_double_precision(left: float, right: float, output: float) -> None:
    a, b = (round_mantissa(torch.tensor(value)).numpy()[()] for value in (left, right))
    found = np.float32(agreed_output(torch.tensor(a), torch.tensor(b), torch.tensor(np.float32(output))).item())
    assert 0 < found / np.float32(output) - 1 < 2**-9
    single, double = float(np.float32(np.float32(a * b) / found)), float(a) * float(b) / float(found)
    (mantissa, exponent), (other, same) = math.frexp(single), math.frexp(double)
    assert (round(mantissa * 2**31), exponent) == (round(other * 2**31), same)


def test_product_quantizer_keeps_its_range() -> None:
    quantizer = on_grid(ProductQuantizer(), -0.3, 1.7)
    assert isinstance(quantizer, ProductQuantizer)
    quantizer.factors = [FixedQuantizer(1 / 256), on_grid(ActivationQuantizer(), -1, 1)]
    scale, zero_point = quantizer.grid()
    assert float((-128 - zero_point) * scale) == pytest.approx(-0.3, abs=0.005)
    assert float((127 - zero_point) * scale) == pytest.approx(1.7, abs=0.01)


def test_splitter_of_a_branch_is_integer_arithmetic() -> None:
    layer = SplitConvolution(FirstTimeConv(2, 3, 8, 4, padding=2))
    on_grid(layer.input_range, -3.0, 5.0)
    scale = layer.input_range.grid()[0]
    x = torch.randn(1, 500, 2) * 3
    digits = (layer.codes(x, scale) / scale).round().int().numpy().astype(np.int64).transpose(2, 0, 1).reshape(3, 2, -1)
    codes = np.clip(np.rint(x.numpy().astype(np.float64) / float(scale) * 256), -32768, 32767).astype(np.int64).transpose(2, 0, 1)
    np.testing.assert_array_equal(digits[0] * 256 + digits[1] * 16 + digits[2], codes.reshape(2, -1))


def test_a_branch_takes_16_bits() -> None:
    """The result differs from that of an input of 16 bits and float weights by the weights' rounding alone."""
    torch.manual_seed(0)
    float_layer = FirstTimeConv(2, 3, 8, 4, padding=2)
    layer = SplitConvolution(float_layer)
    on_grid(layer.input_range, -3.0, 3.0)
    layer.output_quantizer = torch.nn.Identity()
    x = torch.randn(1, 500, 2).clamp(-2.9, 2.9) / 20  # within 6 of 127 steps of the high byte
    with torch.no_grad():
        wanted = layer.convolve(x, layer.weight, layer.bias)
        of_a_byte = layer.convolve(ByteConvolution.codes(layer, x, layer.input_range.grid()[0]), layer.weight, layer.bias)  # type: ignore[arg-type]
        assert sqnr(wanted, layer(x)) > sqnr(wanted, of_a_byte) + 10


@pytest.mark.parametrize("spectral", [False, True])
def test_a_branch_gives_16_bits(spectral: bool) -> None:
    """What the int8 weights make of the features, rounded once to 1/256 of the high byte's step."""
    torch.manual_seed(0)
    float_layer = LastSpectrumUpsampling(16, 2, (8, 1), (4, 1)) if spectral else LastTimeUpsampling(16, 2, 8, 4)
    layer = ReconstructingUpsampling(float_layer)  # type: ignore[arg-type]
    source = on_grid(ActivationQuantizer(), -2, 2)
    layer.connect([source])
    y = source(torch.randn((1, 60, 5, 16) if spectral else (1, 160, 16)).clamp(-2, 2)).detach()
    set_observing(layer, True)
    layer(y)
    set_observing(layer, False)
    with torch.no_grad():
        bias = quantized_bias(layer.bias, source.grid()[0], layer.weight_quantizer.scale())  # type: ignore[arg-type]
        exact = layer.upsample(y, layer.weight_quantizer(layer.weight), bias)
        error = (layer(y) - exact).abs() / layer.correction_quantizer.grid()[0]
        assert float(error.max()) <= 1.01  # the correction has one code too few for the last half step
        assert float((error > 0.51).float().mean()) < 0.01
        assert sqnr(exact, layer(y)) > sqnr(exact, layer.high_quantizer(exact)) + 40


def test_long_sequences_get_weights_of_16_bits() -> None:
    """Of 600 equal keys the int8 softmax leaves nothing; the outputs are the mean of the values all the same."""

    layer = QuantizedCrossHeads(CrossHeads(2))
    torch.manual_seed(0)
    query, memory = torch.zeros(1, 4, 8), torch.randn(1, 600, 16) + 0.5
    set_observing(layer, True)
    layer(query, memory)
    set_observing(layer, False)
    expected = memory[..., 8:].mean(1, keepdim=True).expand(1, 4, 8)
    assert sqnr(expected, layer(query, memory).detach()) > 25


def test_observing_does_not_change_what_is_computed() -> None:
    spec = tiny_htdemucs()
    network = tiny_network(spec).eval()
    twin = quantize(network, Recipe("fqss", "scalar-gain"))
    mixture = mixtures(spec, 1, 3)
    observe(twin, [mixture])
    set_observing(twin, True)
    with torch.no_grad():
        assert sqnr(network(mixture), twin(mixture)) > 20  # GELU by a sigmoid is all that differs


def test_channels_under_a_layer_scale_keep_their_proportions_in_training() -> None:
    """A step of Adam moves every weight by its rate; shipped weights of a channel must not move by more of themselves than others'."""
    network = tiny_network(tiny_htdemucs())
    scales = {name: module for name, module in network.named_modules() if isinstance(module, LayerScale)}
    with torch.no_grad():
        for scale in scales.values():
            scale.scale.copy_(torch.logspace(-5, -1, len(scale.scale)))
    twin = quantize(network, Recipe("fqss", "scalar-gain"))
    layer = twin.get_submodule("crosstransformer.layers.0.linear2")
    folded = network.crosstransformer.layers[0].linear2.weight * torch.logspace(-5, -1, len(layer.bias))[:, None]
    shipped = layer.weight_quantizer.scale()[:, None] * layer.weight_quantizer.codes(layer.weight)[:, :, 0]
    torch.testing.assert_close(shipped, folded, rtol=0, atol=float(folded.detach().abs().max()) / 127)
    assert sqnr(folded[0], shipped[0]) > 35  # the softest channel is as exact as any
    before = layer.weight_quantizer(layer.weight).detach()
    with torch.no_grad():
        layer.weight.add_(1e-3)
        layer.bias.add_(1e-3)
    moved = (layer.weight_quantizer(layer.weight) - before).abs().mean((1, 2)) / before.abs().mean((1, 2))
    assert 0.001 < float(moved.min()) <= float(moved.max()) < 0.1
    assert float(layer.whole_bias()[0].abs().max()) < 1e-4
