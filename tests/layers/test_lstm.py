"""The quantized LSTM against torch's LSTM, against autograd through the same rounding, and its grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.lstm.float import BiLstm
from pipeline.layers.lstm.quantized import QuantizedBiLstm
from pipeline.quantization.grid import ActivationQuantizer, SymmetricQuantizer, straight_through
from pipeline.quantization.quantize import range_parameters

SEQUENCES, STEPS, CHANNELS, HID_CHAN = 5, 24, 12, 10


def quantized(gain: float = 1.0, rectified: bool = False) -> tuple[QuantizedBiLstm, BiLstm, Tensor]:
    torch.manual_seed(0)
    original = BiLstm(CHANNELS, HID_CHAN, rectified)
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.mul_(gain)
    layer, before = QuantizedBiLstm(original), ActivationQuantizer()
    layer.connect([before])
    x = torch.randn(SEQUENCES, STEPS, CHANNELS)
    before.observe(x)
    layer.output_quantizer.observing = True
    layer(before(x))
    layer.output_quantizer.observing = False
    return layer, original, before(x).detach()


def torch_order(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of both directions as torch has them."""
    return tuple(torch.cat([gates[0], gates[1], gates[3], gates[2]]) for gates in (part.chunk(4) for part in rows.chunk(2)))  # type: ignore[return-value]


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_without_the_output_quantizer_it_is_torchs_lstm_on_the_same_weights(gain: float) -> None:
    layer, original, x = quantized(gain)
    with torch.no_grad():
        for suffix, *values in zip(
            ("", "_reverse"),
            torch_order(layer.input_quantizer(layer.input_weight)),
            torch_order(layer.recurrent_quantizer(layer.recurrent_weight)),
            torch_order(layer.bias),
            strict=True,
        ):
            for name, value in zip(("weight_ih", "weight_hh", "bias_ih"), values, strict=True):
                original.get_parameter(f"{name}_l0{suffix}").copy_(value)
            original.get_parameter(f"bias_hh_l0{suffix}").zero_()
        layer.output_quantizer.observing = True
        exact, found = original(x), layer(x)
    assert float(10 * torch.log10(exact.square().sum() / (found - exact).square().sum())) > 50
    codes = found.double() * 2**15
    assert bool((codes == codes.round()).all())


def straight(x: Tensor, exponent: int) -> Tensor:
    return straight_through((x * 2.0**exponent).round().clamp(-32768, 32767) / 2.0**exponent, x)


def step_by_step(layer: QuantizedBiLstm, x: Tensor) -> Tensor:
    """The same rounding, one sequence of plain torch operations a direction, gradients by autograd."""
    weights, recurrents, biases = (
        value.chunk(2)
        for value in (layer.input_quantizer(layer.input_weight), layer.recurrent_quantizer(layer.recurrent_weight), layer.bias)
    )
    results = []
    for direction in range(2):
        step = layer.input_quantizers[0].grid()[0] * layer.input_quantizer.scale().chunk(2)[direction]
        bias = straight_through((biases[direction] / step).round() * step, biases[direction])
        hidden = cell = x.new_zeros(len(x), layer.hid_chan)
        outputs: list[Tensor] = []
        for place in range(x.shape[1])[:: -1 if direction else 1]:
            total = straight(functional.linear(x[:, place], weights[direction], bias), 10)
            i, f, o, g = (total + straight(functional.linear(hidden, recurrents[direction]), 10)).chunk(4, dim=-1)
            i, f, o, g = straight(i.sigmoid(), 15), straight(f.sigmoid(), 15), straight(o.sigmoid(), 15), straight(g.tanh(), 15)
            cell = straight(f * cell, 10) + straight(i * g, 10)
            hidden = straight(o * straight(cell.tanh(), 15), 15)
            outputs.append(hidden)
        results.append(torch.stack(outputs[:: -1 if direction else 1], dim=1))
    return torch.cat(results, dim=-1)


def test_values_and_gradients_are_those_of_autograd() -> None:
    layer, _, x = quantized()
    x.requires_grad_(True)
    layer.output_quantizer.observing = True
    target = torch.randn(SEQUENCES, STEPS, 2 * HID_CHAN)
    gradients = []
    for compute in (layer, lambda value: step_by_step(layer, value)):
        layer.zero_grad()
        x.grad = None
        y = compute(x)
        (y * target).sum().backward()
        parameters = {name: parameter.grad for name, parameter in layer.named_parameters() if not name.startswith("output")}
        gradients.append((y.detach(), {"x": x.grad, **parameters}))
    (found, by_hand), (expected, by_autograd) = gradients
    torch.testing.assert_close(found, expected, rtol=0, atol=2.0**-14)
    assert by_hand.keys() == by_autograd.keys() and len(by_hand) == 6
    for name, gradient in by_autograd.items():
        assert gradient is not None and by_hand[name] is not None
        error = float((by_hand[name] - gradient).norm() / gradient.norm())
        assert error < 2e-3, name  # autograd takes the slope of sigmoid and tanh before they are rounded


def test_mixed_precision_does_not_touch_it() -> None:
    layer, _, x = quantized()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = layer(x)
    torch.testing.assert_close(mixed, layer(x), rtol=0, atol=0)


def test_it_trains() -> None:
    layer, _, x = quantized()
    torch.manual_seed(1)
    target = 0.5 * torch.sin(x.cumsum(1))[..., :1].expand(-1, -1, 2 * HID_CHAN)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = functional.mse_loss(layer(x), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert len(range_parameters(layer)) == 4  # of two weights, and both ends of the output


def test_rectifier_is_a_matter_of_the_grid() -> None:
    """Codes from -128 on stand for 0 to the observed maximum; what torch rectifies has no gradient."""
    layer, original, x = quantized(rectified=True)
    linear, _, _ = quantized()
    with torch.no_grad():
        exact, found, hidden = original(x), layer(x), linear(x)
    scale, zero_point = (float(value) for value in layer.output_quantizer.grid())  # type: ignore[operator]
    assert zero_point == -128 and float(found.min()) == 0
    assert scale == pytest.approx(float(found.max()) / 255, rel=2**-11)
    assert float(10 * torch.log10(exact.square().sum() / (found - exact).square().sum())) > 36
    assert not found[hidden < -0.01].any() and bool((found[hidden > 0.01] > 0).all())
    optimized = [name for name, parameter in layer.output_quantizer.named_parameters() if parameter.requires_grad]
    assert optimized == ["maximum"]


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 30), st.floats(1e-3, 30), st.integers(0, 99))
def test_symmetric_grid(low: float, high: float, seed: int) -> None:
    quantizer = SymmetricQuantizer()
    with torch.no_grad():
        quantizer.minimum.fill_(-low)
        quantizer.maximum.fill_(high)
    scale, zero_point = (float(value) for value in quantizer.grid())
    assert zero_point == 0 and scale == pytest.approx(max(low, high) / 127, rel=2**-12)
    x = torch.from_numpy(np.random.default_rng(seed).normal(0, max(low, high), 200)).float().requires_grad_(True)
    y = quantizer(x)
    torch.testing.assert_close(y, torch.clamp(torch.round(x / scale), -128, 127) * scale)
    y.sum().backward()
    assert x.grad is not None
    inside = (x / scale).round().abs() <= 127
    assert bool((x.grad[inside] == 1).all()) and bool((x.grad[(x / scale).round().abs() > 128] == 0).all())
    larger = quantizer.maximum if high >= low else quantizer.minimum
    assert isinstance(larger, nn.Parameter) and larger.grad is not None and bool(larger.grad.isfinite())
