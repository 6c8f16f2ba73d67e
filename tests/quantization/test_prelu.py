"""PReLU multipliers: odd multiples of 1/256, and a trifle that breaks the tie."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.layers import Prelu as FloatPrelu
from pipeline.quantization.grid import TIE_BREAK
from pipeline.quantization.layers import Prelu

ends = st.tuples(st.floats(-20, -0.01), st.floats(0.01, 20))


def prelu(inner: tuple[float, float], outer: tuple[float, float], slope: float) -> Prelu:
    layer = Prelu(FloatPrelu(init=slope))
    with torch.no_grad():
        for quantizer, (low, high) in ((layer.input_quantizer, inner), (layer.output_quantizer, outer)):
            quantizer.minimum.fill_(low)
            quantizer.maximum.fill_(high)
    return layer


@settings(derandomize=True, deadline=None, max_examples=150)
@given(ends, ends, st.floats(-0.9, 0.9))
def test_both_multipliers_are_odd_multiples_of_a_256th(inner: tuple[float, float], outer: tuple[float, float], slope: float) -> None:
    layer = prelu(inner, outer, slope)
    scale_in, scale_out = float(layer.input_quantizer.grid()[0]), float(layer.output_quantizer.grid()[0])
    positive = 256 * scale_in / scale_out
    negative = positive * float(layer.slope())
    for value, trifle in ((positive, TIE_BREAK), (negative, -TIE_BREAK)):
        numerator = round(value)
        assert numerator % 2 == 1
        assert abs(value - numerator - trifle) < abs(numerator) * 2**-21 + 1e-5
    wanted = 256 * (inner[1] - inner[0]) / (outer[1] - outer[0])
    assert abs(positive - wanted) <= 1.01 + wanted / 4096 or positive < 1.01 or positive > 32766
    assert abs(negative - slope * positive) <= 1.01


@settings(derandomize=True, deadline=None, max_examples=60)
@given(ends, ends, st.floats(-0.9, 0.9))
def test_no_code_lies_on_a_tie(inner: tuple[float, float], outer: tuple[float, float], slope: float) -> None:
    """Each product of a code with its multiplier is at least half the trifle away from a half."""
    layer = prelu(inner, outer, slope)
    ratio = float(layer.input_quantizer.ratio())
    for multiplier, codes in ((ratio, range(256)), (ratio * float(layer.slope()), range(-255, 0))):
        for code in codes:
            product = code * multiplier / 256
            if code and abs(product) < 1e4:
                assert abs(product - (int(product // 1) + 0.5)) > 0.4 * abs(code) * TIE_BREAK / 256


def test_the_layer_before_a_prelu_leaves_quantization_to_it() -> None:
    from tests.tiny import RECIPES, quantized_network, tiny_spec

    network = quantized_network(tiny_spec(), RECIPES[0])
    block = network.get_submodule("masker.TCN.0.shared_block")
    assert isinstance(block.get_submodule("0").output_quantizer, torch.nn.Identity)
    assert isinstance(block.get_submodule("3").output_quantizer, torch.nn.Identity)
