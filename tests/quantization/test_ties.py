"""Grids before a sigmoid or tanh: no code next to a tie, by the least possible widening."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

from export_specs.schema import ModelSpec
from pipeline.layers.pointwise import Pointwise, QuantizedPointwise
from pipeline.quantization import ties
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.ties import MARGIN, avoid_ties, tie_distance
from tests.tiny import quantized_network, tiny_dptnet, tiny_htdemucs


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
def test_only_what_stands_before_a_table_changes(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
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
