"""The grid against its definition in float64, and against onnxruntime."""

import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pipeline.quantization import grid
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer, agreed_factor, round_mantissa

finite = {"allow_nan": False, "allow_infinity": False}
ends = st.tuples(st.floats(-1e4, 1e4, **finite), st.floats(-1e4, 1e4, **finite))


def quantizer_of(low: float, high: float) -> ActivationQuantizer:
    quantizer = ActivationQuantizer()
    with torch.no_grad():
        quantizer.minimum.fill_(low)
        quantizer.maximum.fill_(high)
    return quantizer


def reference(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """DequantizeLinear(QuantizeLinear(x)); the quotient is float32, as ONNX defines it for float32 input."""
    code = np.clip(np.rint((x.astype(np.float32) / np.float32(scale)).astype(np.float64)) + zero_point, -128, 127)
    return (code - zero_point) * scale


@settings(derandomize=True, deadline=None, max_examples=200)
@given(ends)
@example((0.0, 0.0))
@example((3.0, 5.0))
@example((-5.0, -3.0))
@example((0.0, 1e-30))
def test_zero_is_on_the_grid_and_the_grid_is_shippable(ends: tuple[float, float]) -> None:
    quantizer = quantizer_of(*ends)
    scale, zero_point = (float(value) for value in quantizer.grid())
    assert scale > 0
    assert zero_point == int(zero_point)
    assert -128 <= zero_point <= 127
    assert float(quantizer(torch.zeros(3)).detach().abs().max()) == 0
    mantissa = math.frexp(scale)[0] * 4096
    assert mantissa == int(mantissa)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(ends)
def test_the_grid_reaches_both_ends_of_the_range(ends: tuple[float, float]) -> None:
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    scale, zero_point = (float(value) for value in quantizer_of(min(ends), max(ends)).grid())
    slack = scale + (high - low) / 4096  # rounding of the zero point, and of the mantissa
    assert (-128 - zero_point) * scale <= low + slack
    assert (127 - zero_point) * scale >= high - slack


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.floats(1e-7, 1e6, **finite))
def test_the_mantissa_is_the_nearest_of_12_bits(value: float) -> None:
    rounded = float(round_mantissa(torch.tensor(value)))
    mantissa, exponent = math.frexp(float(np.float32(value)))
    assert rounded == math.ldexp(round(mantissa * 4096) / 4096, exponent)


@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 3.7), (-2.3, 0.0), (-0.11, 6.1), (-1e-3, 1e-3)])
def test_forward_is_the_formula(ends: tuple[float, float]) -> None:
    quantizer = quantizer_of(*ends)
    scale, zero_point = (float(value) for value in quantizer.grid())
    ties = (np.arange(-130, 130) + 0.5) * scale
    x = np.concatenate([np.random.default_rng(0).uniform(2 * ends[0] - 0.1, 2 * ends[1] + 0.1, 5000), ties]).astype(np.float32)
    expected = reference(x, scale, int(zero_point))
    np.testing.assert_allclose(quantizer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 3.7), (-0.11, 6.1)])
def test_forward_is_what_onnxruntime_computes(ends: tuple[float, float]) -> None:
    quantizer = quantizer_of(*ends)
    scale, zero_point = quantizer.grid()
    x = np.random.default_rng(1).uniform(2 * ends[0], 2 * ends[1], 4096).astype(np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["y"]),
    ]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [len(x)]) for name in "xy"]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [float(scale)]),
        helper.make_tensor("zero", TensorProto.INT8, [], [int(zero_point)]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", info[:1], info[1:], constants), opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    )
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(quantizer(torch.from_numpy(x)).detach().numpy(), session.run(None, {"x": x})[0])


def test_gradients_inside_above_and_below() -> None:
    """The straight-through rules of the paper, element by element: 1 inside, and the ends learn from what they clip."""
    quantizer = quantizer_of(-0.7, 1.9)
    scale, zero_point = (float(value) for value in quantizer.grid())
    random = np.random.default_rng(2)
    values, upstream = random.uniform(-2, 4, 400).astype(np.float32), random.normal(size=400).astype(np.float32)
    x = torch.from_numpy(values).requires_grad_()
    quantizer(x).backward(torch.from_numpy(upstream))
    to_x, to_minimum, to_maximum = np.zeros(400), 0.0, 0.0
    for index, (value, gradient) in enumerate(zip(values.astype(float), upstream.astype(float), strict=True)):
        ratio = value / scale
        code = np.rint(ratio) + zero_point
        if code > 127:
            to_maximum += gradient
        elif code < -128:
            to_minimum += gradient
        else:
            to_x[index] = gradient
            to_maximum += gradient * (np.rint(ratio) - ratio) / 255
            to_minimum -= gradient * (np.rint(ratio) - ratio) / 255
    assert x.grad is not None and quantizer.minimum.grad is not None and quantizer.maximum.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), to_x, rtol=1e-6)
    assert float(quantizer.minimum.grad) == pytest.approx(to_minimum, rel=1e-4)
    assert float(quantizer.maximum.grad) == pytest.approx(to_maximum, rel=1e-4)


def test_observation_is_set_by_the_first_batch_and_then_averaged() -> None:
    quantizer = ActivationQuantizer()
    quantizer.observing = True
    random = np.random.default_rng(3)
    low = high = None
    for _ in range(grid.OBSERVED_BATCHES):
        batch = random.normal(0.2, random.uniform(0.5, 2), 64).astype(np.float32)
        assert torch.equal(quantizer(torch.from_numpy(batch)), torch.from_numpy(batch))
        low = float(batch.min()) if low is None else 0.9 * low + 0.1 * float(batch.min())
        high = float(batch.max()) if high is None else 0.9 * high + 0.1 * float(batch.max())
    assert grid.OBSERVED_BATCHES == 50
    assert float(quantizer.minimum.detach()) == pytest.approx(low, rel=1e-5)
    assert float(quantizer.maximum.detach()) == pytest.approx(high, rel=1e-5)


def test_observation_of_a_rectified_tensor_keeps_zero_in_the_range() -> None:
    quantizer = ActivationQuantizer()
    quantizer.observe(torch.tensor([2.0, 5.0]))
    assert float(quantizer.minimum.detach()) == 0
    assert quantizer.grid()[1] == -128


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 1e3, **finite), st.floats(0.3, 3, **finite))
def test_weight_codes_are_symmetric_and_forward_is_their_dequantization(seed: int, size: float, learned: float) -> None:
    weight = (torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(seed)) * size).requires_grad_()
    quantizer = WeightQuantizer(weight)
    with torch.no_grad():
        quantizer.range.mul_(learned)
    codes, scale = quantizer.codes(weight), quantizer.scale()
    assert codes.dtype == torch.int8
    assert int(codes.min()) >= -127
    np.testing.assert_allclose(scale.numpy(), quantizer.range.detach().numpy() / 127, rtol=1e-6)
    np.testing.assert_array_equal(quantizer(weight).detach().numpy(), (codes.float() * scale[:, None, None]).numpy())


def test_an_untrained_weight_quantizer_uses_all_127_codes() -> None:
    weight = torch.randn(4, 6, 1, generator=torch.Generator().manual_seed(0))
    assert WeightQuantizer(weight).codes(weight).abs().flatten(1).amax(1).tolist() == [127] * 4


def test_gradients_of_a_weight_and_of_its_range() -> None:
    weight = torch.tensor([[0.3, -2.0, 0.011], [0.5, 0.25, -0.9]], requires_grad=True)
    quantizer = WeightQuantizer(weight)
    with torch.no_grad():
        quantizer.range.copy_(torch.tensor([1.0, 0.9]))
    upstream = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.5, 3.0]])
    quantizer(weight).backward(upstream)
    expected_weight, expected_range = np.zeros((2, 3)), np.zeros(2)
    for channel in range(2):
        for column in range(3):
            ratio = float(weight[channel, column]) * 127 / float(quantizer.range[channel])
            inside = abs(ratio) <= 127
            expected_weight[channel, column] = float(upstream[channel, column]) * inside
            slope = round(ratio) - ratio if inside else math.copysign(127, ratio)
            expected_range[channel] += float(upstream[channel, column]) * slope / 127
    assert weight.grad is not None and quantizer.range.grad is not None
    np.testing.assert_allclose(weight.grad.numpy(), expected_weight, rtol=1e-5)
    np.testing.assert_allclose(quantizer.range.grad.numpy(), expected_range, rtol=1e-4, atol=1e-6)


def test_a_fixed_quantizer_rounds_and_saturates_at_its_scale() -> None:
    quantizer = FixedQuantizer(1 / 128)
    x = torch.tensor([-3.0, -1.0, -0.3 / 128, 0.5 / 128, 1.5 / 128, 0.2, 5.0])
    np.testing.assert_array_equal(quantizer(x).numpy() * 128, np.clip(np.rint(x.numpy() * 128), -128, 127))


@pytest.mark.slow
def test_the_compiled_kernels_equal_the_plain_ones() -> None:
    """Training may run them fused; the forward pass must not differ by a bit from what is exported."""
    x = torch.randn(2, 50, 7, generator=torch.Generator().manual_seed(0))
    results = []
    for stance in ("force_eager", "default"):
        torch.compiler.set_stance(stance)
        quantizer, leaf = quantizer_of(-1.3, 2.1), x.clone().requires_grad_()
        y = quantizer(leaf)
        y.square().sum().backward()
        assert quantizer.minimum.grad is not None and quantizer.maximum.grad is not None
        results.append((y.detach(), leaf.grad, quantizer.minimum.grad, quantizer.maximum.grad))
    assert torch.equal(results[0][0], results[1][0])
    for plain, compiled in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-4, atol=1e-4)


def test_runtimes_form_the_same_multiplier_with_an_agreed_factor() -> None:
    rng, as_they_are = np.random.default_rng(0), 0

    def agree(scale: np.float32, other: np.float32, output: np.float32) -> bool:
        in_float, in_double = float(other * scale / output), float(other) * float(scale) / float(output)
        return len({(round(mantissa * 2**31), exponent) for mantissa, exponent in map(math.frexp, (in_float, in_double))}) == 1

    for _ in range(100):
        scale, other, output = np.exp(rng.uniform(-8, 1, 3)).astype(np.float32)
        factor = agreed_factor(*(torch.tensor(value) for value in (scale, other, output))).numpy()
        as_they_are += agree(scale, other, output)
        assert agree(factor, other, output)
        assert 1 <= factor / scale < 1 + 2**-9
    assert as_they_are < 10
