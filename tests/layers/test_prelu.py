"""PReLU on one grid: positive codes stay, the slope is an odd multiple of 1/256 less a trifle that breaks the tie."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.layers.prelu.float import Prelu
from pipeline.layers.prelu.quantized import TIE_BREAK, QuantizedPrelu
from pipeline.quantization.grid import ActivationQuantizer

ends = st.tuples(st.floats(-20, -0.01), st.floats(0.01, 20))
slopes = st.floats(-0.9, 0.9)


def prelu(low: float, high: float, slope: float) -> QuantizedPrelu:
    layer = QuantizedPrelu(Prelu(init=slope))
    assert isinstance(layer.output_quantizer, ActivationQuantizer)
    with torch.no_grad():
        layer.output_quantizer.minimum.fill_(low)
        layer.output_quantizer.maximum.fill_(high)
    return layer


@settings(derandomize=True, deadline=None, max_examples=150)
@given(slopes)
def test_the_slope_is_an_odd_multiple_of_a_256th(slope: float) -> None:
    shipped = 256 * float(prelu(-1, 1, slope).slope())
    assert round(shipped) % 2 == 1
    assert abs(shipped - round(shipped) + TIE_BREAK) < 1e-5
    assert abs(shipped - 256 * slope) <= 1.01


@settings(derandomize=True, deadline=None, max_examples=60)
@given(slopes)
def test_no_code_lies_on_a_tie(slope: float) -> None:
    """Each product of a negative code with the slope is at least half the trifle away from a half."""
    shipped = float(prelu(-1, 1, slope).slope())
    for code in range(-255, 0):
        product = code * shipped
        assert abs(product - (int(product // 1) + 0.5)) > 0.4 * abs(code) * TIE_BREAK / 256


@settings(derandomize=True, deadline=None, max_examples=60)
@given(ends, slopes)
def test_every_code_is_that_of_the_formula_in_whole_numbers(span: tuple[float, float], slope: float) -> None:
    layer = prelu(*span, slope)
    scale, zero_point = (float(value) for value in layer.grid_quantizer().grid())
    x = torch.linspace(1.2 * span[0], 1.2 * span[1], 501)
    with torch.no_grad():
        codes = layer(x).double() / scale
    shipped = float(layer.slope())
    for value, code in zip(x.double().tolist(), codes.tolist(), strict=True):
        q = min(127 - zero_point, max(-128 - zero_point, round(value / scale)))
        wanted = q if q >= 0 else min(127 - zero_point, max(-128 - zero_point, round(q * shipped)))
        ratio = value / scale
        assert abs(code - wanted) < 1e-3 or abs(ratio - int(ratio // 1) - 0.5) < 1e-4  # the float32 quotient may round a tie otherwise


def values_and_gradients(layer: QuantizedPrelu, values: torch.Tensor) -> list[torch.Tensor]:
    """y, and the gradients of x, slope, minimum and maximum."""
    x = values.clone().requires_grad_()
    quantizer = layer.grid_quantizer()
    assert isinstance(quantizer, ActivationQuantizer)
    layer.zero_grad()
    y = layer(x)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)))
    parameters = x, layer.weight, quantizer.minimum, quantizer.maximum
    return [y.detach(), *(parameter.grad.clone() for parameter in parameters if parameter.grad is not None)]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(ends, slopes, st.integers(0, 2**32 - 1))
def test_one_pass_equals_the_three_operations(span: tuple[float, float], slope: float, seed: int) -> None:
    """As in eval mode. Outputs to the bit; gradients inside the range, where the input saturates and where the output alone does."""
    layer = prelu(*span, slope)
    x = torch.empty(3, 40, 5).uniform_(2 * span[0], 2 * span[1], generator=torch.Generator().manual_seed(seed))
    x[0, 0] = 0
    fused, plain = values_and_gradients(layer.train(), x), values_and_gradients(layer.eval(), x)
    assert len(fused) == len(plain) == 5
    assert torch.equal(fused[0], plain[0])
    assert torch.equal(fused[1], plain[1])
    for one, other in zip(fused[2:], plain[2:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * max(map(abs, span)))


@pytest.mark.slow
def test_the_compiled_pass_equals_the_plain_one() -> None:
    """Training may run it compiled; the forward pass must not differ by a bit from what is exported."""
    layer = prelu(-1.3, 2.1, 0.3)
    x = 1.5 * torch.randn(2, 50, 7, generator=torch.Generator().manual_seed(0))
    plain = values_and_gradients(layer, x)
    torch.compiler.set_stance("default")
    compiled = values_and_gradients(layer, x)
    assert torch.equal(plain[0], compiled[0])
    assert torch.equal(plain[1], compiled[1])
    for one, other in zip(plain[2:], compiled[2:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_ranges_hold_inputs_and_outputs() -> None:
    layer = prelu(0, 0, -0.8)
    quantizer = layer.grid_quantizer()
    quantizer.observing = True
    x = torch.tensor([-10.0, 1.0])
    torch.testing.assert_close(layer(x).detach(), torch.tensor([8.0, 1.0]))
    assert isinstance(quantizer, ActivationQuantizer)
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-10, 8)


def test_the_layer_before_a_prelu_leaves_quantization_to_it() -> None:
    from tests.tiny import RECIPES, quantized_network, tiny_spec

    network = quantized_network(tiny_spec(), RECIPES[0])
    block = network.get_submodule("masker.TCN.0.shared_block")
    assert isinstance(block.get_submodule("0").output_quantizer, torch.nn.Identity)
    assert isinstance(block.get_submodule("3").output_quantizer, torch.nn.Identity)
