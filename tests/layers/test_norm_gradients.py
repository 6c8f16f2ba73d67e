"""Gradients of the integer norms against torch's own, and the one pass of training against the plain operations."""

import numpy as np
import pytest
import torch

from pipeline.layers.global_norm.recipes.scalar_gain import ScalarGainNorm
from pipeline.layers.quantized_norm import Moments, _FloatStatistics
from pipeline.quantization.grid import ActivationQuantizer
from tests.layers.norm_recipes import activations, observed_norm
from tests.tiny import NORMS


class _PassWithGrid(ActivationQuantizer):
    """Has a grid, and passes everything on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


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
