"""Grids before a sigmoid or tanh, and of products with a scalar: no code next to a tie, by the least possible widening."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

from export_specs.schema import ModelSpec
from pipeline.layers.pointwise import Pointwise, QuantizedPointwise
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization import ties
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.ties import MARGIN, PRODUCT_MARGIN, avoid_ties, product_tie_distance, tie_distance
from tests.tiny import quantized_network, tiny_dptnet, tiny_htdemucs, tiny_spec


@pytest.mark.parametrize(("activation", "table"), [("sigmoid", lambda x: 256 * expit(x)), ("tanh", lambda x: 128 * np.tanh(x))])
def test_distance_is_that_of_the_table(activation: str, table: object) -> None:
    for scale, zero_point in ((np.float32(0.0553436), -15), (np.float32(0.03), 7), (np.float32(0.11), -128)):
        results = table(float(scale) * (np.arange(-128, 128) - zero_point))  # type: ignore[operator]
        expected = np.abs(results % 1 - 0.5).min()
        assert tie_distance(torch.tensor(scale), torch.tensor(float(zero_point)), activation) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("end", [1.7, 3.0, 5.5, 7.08, 9.3])
def test_range_is_widened_until_no_code_is_next_to_a_tie(activation: str, end: float) -> None:
    layer = QuantizedPointwise(Pointwise(2, 2, activation=activation))
    with torch.no_grad():
        layer.input_quantizer.minimum.fill_(-0.8 * end)
        layer.input_quantizer.maximum.fill_(end)
    avoid_ties(layer)
    assert tie_distance(*layer.input_quantizer.grid(), activation) >= MARGIN
    widened = float(layer.input_quantizer.maximum.detach()) / end
    assert 1 - 1e-6 <= widened < 1.03
    assert float(layer.input_quantizer.minimum.detach()) == pytest.approx(-0.8 * end * widened)


@pytest.mark.parametrize("spec", [tiny_dptnet(), tiny_htdemucs()], ids=["dptnet", "htdemucs"])
def test_only_ranges_beside_tables_and_products_change(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ties, "MARGIN", 1 / 256)  # wide enough that some ranges must change
    network = quantized_network(spec, Recipe("fqss", "scalar-gain"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    avoid_ties(network)
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert 0 < len(changed) < len(before) / 4
    assert all(name.endswith((".minimum", ".maximum")) for name in changed)
    again = {name: value.clone() for name, value in network.state_dict().items()}
    avoid_ties(network)
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("zero_point", "largest", "multiplier"), [(-3.0, 127, 0.0158402), (40.0, 127, 0.0031), (-128.0, 60, 0.25)])
def test_distance_of_products_is_that_of_the_nearest(zero_point: float, largest: int, multiplier: float) -> None:
    results = np.outer(np.arange(-128, 128) - zero_point, np.arange(1, largest + 1)).ravel() * multiplier
    results = results[np.abs(results) <= 255]
    assert product_tie_distance(zero_point, largest, multiplier) == pytest.approx(np.abs(np.abs(results) % 1 - 0.5).min(), abs=1e-9)


def test_products_with_a_scalar_round_alike_in_single_and_double_precision() -> None:
    """22 * 99 steps made 34.50000177, which is 34 on x86-64 and 35 on aarch64 (XNNPACK), for every value of one code of a clip."""
    network = quantized_network(tiny_spec(n_blocks=6), Recipe("fqss", "scalar-gain"))
    products = [product for layer in network.modules() if isinstance(layer, QuantizedLayer) for product in layer.gain_products()]
    assert len(products) == 13
    before = [float(product.result.maximum.detach()) for product in products if isinstance(product.result, ActivationQuantizer)]
    avoid_ties(network)
    for product, maximum in zip(products, before, strict=True):
        assert isinstance(product.result, ActivationQuantizer)
        assert 1 - 1e-6 <= float(product.result.maximum.detach()) / maximum < 1.02
        multiplier = product.multiplier()
        codes = np.outer(np.arange(-128, 128) - float(product.factor.grid()[1]), np.arange(1, 128))
        exact = codes * multiplier
        shown = np.abs(exact) <= 127
        single = codes.astype(np.float32) * np.float32(multiplier)
        np.testing.assert_array_equal(np.rint(single)[shown], np.rint(exact)[shown])
        assert np.abs(np.abs(exact[shown]) % 1 - 0.5).min() >= PRODUCT_MARGIN
