"""Ratios against torchmetrics and closed forms, permutations against all of them."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from pipeline.losses.si_sdr import best_permutation, negative_si_sdr, reorder, sdr, si_sdr


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_si_sdr_is_that_of_torchmetrics() -> None:
    reference, estimate = noise(3, 2, 500) + 0.3, noise(3, 2, 500, seed=1) + 2 * noise(3, 2, 500) - 0.1
    expected = scale_invariant_signal_distortion_ratio(estimate, reference, zero_mean=True)
    torch.testing.assert_close(si_sdr(estimate, reference), expected, atol=1e-3, rtol=1e-4)


def test_sdr_is_the_plain_ratio_of_torchmetrics() -> None:
    reference, estimate = noise(3, 2, 500), noise(3, 2, 500, seed=1) + 1.5 * noise(3, 2, 500)
    torch.testing.assert_close(sdr(estimate, reference), signal_noise_ratio(estimate, reference), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("amplitude", [0.01, 0.1, 1.0, 3.0])
def test_an_orthogonal_error_has_a_closed_form(amplitude: float) -> None:
    time = torch.arange(800) * 2 * torch.pi / 800
    reference, error = torch.sin(8 * time), torch.cos(8 * time)
    wanted = -20 * np.log10(amplitude)
    assert float(si_sdr(reference + amplitude * error, reference)) == pytest.approx(wanted, abs=1e-3)
    assert float(si_sdr(7 * (reference + amplitude * error) + 0.5, reference)) == pytest.approx(wanted, abs=1e-3)
    assert float(sdr(reference + amplitude * error, reference)) == pytest.approx(wanted, abs=1e-3)


def test_a_scaled_estimate_costs_sdr_but_not_si_sdr() -> None:
    reference = noise(1000)
    assert float(sdr(0.9 * reference, reference)) == pytest.approx(20, abs=1e-3)
    assert float(si_sdr(0.9 * reference, reference)) > 80


def test_silence_gives_finite_values_and_gradients() -> None:
    for estimate, reference in ((torch.zeros(1, 2, 100), noise(1, 2, 100)), (noise(1, 2, 100), torch.zeros(1, 2, 100))):
        leaf = estimate.clone().requires_grad_()
        loss = negative_si_sdr(leaf, reference).sum()
        loss.backward()
        assert leaf.grad is not None
        assert bool(loss.isfinite()) and bool(leaf.grad.isfinite().all())


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_the_permutation_is_the_best_of_all(sources: int) -> None:
    reference = noise(6, sources, 300)
    estimate = noise(6, sources, 300, seed=1) + 0.7 * reference.flip(1)
    chosen = best_permutation(estimate, reference)
    losses = negative_si_sdr(estimate, reference)
    for row in range(6):
        scores = {}
        for order in permutations(range(sources)):
            ratios = [scale_invariant_signal_distortion_ratio(estimate[row, e], reference[row, s], True) for s, e in enumerate(order)]
            scores[order] = float(np.mean([float(ratio) for ratio in ratios]))
        assert tuple(chosen[row].tolist()) == max(scores, key=scores.__getitem__)
        assert float(losses[row]) == pytest.approx(-max(scores.values()), abs=1e-3)


def test_reorder_puts_each_estimate_at_its_source() -> None:
    estimate = torch.arange(6.0).view(1, 3, 2)
    assert reorder(estimate, torch.tensor([[2, 0, 1]])).tolist() == [[[4, 5], [0, 1], [2, 3]]]


def test_the_loss_does_not_depend_on_the_order_of_the_estimates() -> None:
    reference, estimate = noise(4, 3, 200), noise(4, 3, 200, seed=1)
    torch.testing.assert_close(negative_si_sdr(estimate, reference), negative_si_sdr(estimate[:, [2, 0, 1]], reference))
