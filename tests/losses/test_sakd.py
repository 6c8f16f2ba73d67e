"""SDR-aware distillation against equations (6) and (7) of the FQSS paper, in numpy and float64."""

from itertools import permutations

import numpy as np
import pytest
import torch

from export_specs.method import GAMMA_MAX, KD_LAMBDA, Method
from pipeline.losses.sakd import distillation_weight, distilled, sakd_loss


def ratio_db(signal: np.ndarray, error: np.ndarray) -> float:
    return 10 * np.log10(np.sum(signal**2) / np.sum(error**2))


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    estimate, reference = estimate - estimate.mean(), reference - reference.mean()
    target = (estimate @ reference) / (reference @ reference) * reference
    return ratio_db(target, estimate - target)


def ordered(estimate: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """The order that the task (SI-SDR) chooses."""
    orders = [list(order) for order in permutations(range(len(sources)))]
    return estimate[max(orders, key=lambda order: np.mean([si_sdr(estimate[e], s) for e, s in zip(order, sources, strict=True)]))]


def levelled(estimate: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """The estimates times the factor that leaves the smallest error."""
    return float(np.linalg.lstsq(estimate.reshape(-1, 1), sources.reshape(-1), rcond=None)[0][0]) * estimate


def gamma(teacher: np.ndarray, student: np.ndarray, sources: np.ndarray) -> float:
    sdr, sdr_q = (
        np.mean([ratio_db(s, s - e) for e, s in zip(levelled(ordered(estimate, sources), sources), sources, strict=True)])
        for estimate in (teacher, student)
    )
    return 10 ** ((sdr - sdr_q) / 10)


@pytest.fixture
def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(student, teacher, sources) [5, 2, 400]; each row of the student is worse than the last, the orders differ."""
    random = torch.Generator().manual_seed(0)
    sources = torch.randn(5, 2, 400, generator=random)
    teacher = sources + 0.3 * torch.randn(5, 2, 400, generator=random)
    worse = torch.tensor([0.0, 0.1, 0.2, 0.4, 0.6])[:, None, None]
    student = teacher + worse * torch.randn(5, 2, 400, generator=random)
    teacher[3] = teacher[3].flip(0)
    student[2:4] = student[2:4].flip(1)
    return student, teacher, sources


def test_the_weight_is_equation_6(example: tuple[torch.Tensor, ...]) -> None:
    student, teacher, sources = example
    expected = [gamma(*(part[row].double().numpy() for part in (teacher, student, sources))) for row in range(5)]
    np.testing.assert_allclose(distillation_weight(teacher, student, sources, 1e9).numpy(), expected, rtol=1e-4)
    assert expected[0] == pytest.approx(1)
    assert expected == sorted(expected)  # larger where quantization hurts more


def test_the_weight_does_not_see_the_level(example: tuple[torch.Tensor, ...]) -> None:
    """SI-SDR leaves it open, so it drifts in training; that is no loss by quantization."""
    student, teacher, sources = example
    expected = distillation_weight(teacher, student, sources)
    torch.testing.assert_close(distillation_weight(teacher, 1.2 * student, sources), expected)
    torch.testing.assert_close(distillation_weight(0.3 * teacher, student, sources), expected)


def test_the_weight_is_limited(example: tuple[torch.Tensor, ...]) -> None:
    student, teacher, sources = example
    free = distillation_weight(teacher, student, sources, 1e9)
    np.testing.assert_allclose(distillation_weight(teacher, student, sources, 2.0).numpy(), np.minimum(free.numpy(), 2.0))
    lost = torch.randn(5, 2, 400, generator=torch.Generator().manual_seed(9)) * 50
    assert distillation_weight(teacher, lost, sources).tolist() == [GAMMA_MAX] * 5


@pytest.mark.parametrize("kd_lambda", [0.0, 0.1, 0.5, 1.0])
def test_the_loss_is_equation_7_for_each_example(example: tuple[torch.Tensor, ...], kd_lambda: float) -> None:
    student, teacher, sources = example
    loss = sakd_loss(student, teacher, sources, kd_lambda)
    assert loss.shape == (5,)
    for row in range(5):
        s, t, r = (part[row].double().numpy() for part in (student, teacher, sources))
        task = -np.mean([si_sdr(e, target) for e, target in zip(ordered(s, r), r, strict=True)])
        if row == 0:
            continue  # student is the teacher: its ratio is infinite
        distillation = -np.mean([si_sdr(e, target) for e, target in zip(s, t, strict=True)])
        weight = min(gamma(t, s, r), GAMMA_MAX)
        assert float(loss[row]) == pytest.approx((1 - kd_lambda) * task + kd_lambda * weight * distillation, abs=2e-3)


def test_no_gradient_flows_through_the_weight_or_to_the_teacher(example: tuple[torch.Tensor, ...]) -> None:
    student, teacher, sources = (part[1:] for part in example)
    student, teacher = student.clone().requires_grad_(), teacher.clone().requires_grad_()
    weight = distillation_weight(teacher, student, sources)
    assert not weight.requires_grad
    sakd_loss(student, teacher, sources).sum().backward()
    assert teacher.grad is None
    constant = student.detach().clone().requires_grad_()
    from pipeline.losses.si_sdr import negative_si_sdr, si_sdr

    fixed = (1 - KD_LAMBDA) * negative_si_sdr(constant, sources) - KD_LAMBDA * weight * si_sdr(constant, teacher.detach()).mean(-1)
    fixed.sum().backward()
    assert constant.grad is not None and student.grad is not None
    torch.testing.assert_close(student.grad, constant.grad)


def test_lambda_of_the_paper() -> None:
    assert KD_LAMBDA == 0.1


def test_the_loss_of_the_public_code(example: tuple[torch.Tensor, ...]) -> None:
    student, teacher, sources = example
    loss = distilled(student, teacher, sources, Method(weighting="public-code", kd_lambda=0.3))
    for row in range(1, 5):  # the first student is the teacher: its ratio is infinite
        s, t, r = (part[row].double().numpy() for part in (student, teacher, sources))

        def ratios(estimate: np.ndarray, reference: np.ndarray) -> float:
            orders = permutations(range(len(reference)))
            return max(
                float(np.mean([10 ** (si_sdr(estimate[e], x) / 10) for e, x in zip(order, reference, strict=True)])) for order in orders
            )

        means = [float(np.mean([si_sdr(e, x) for e, x in zip(ordered(estimate, r), r, strict=True)])) for estimate in (t, s)]
        weight = 10 ** ((means[1] - means[0]) / 10)
        assert weight < 1  # it is the worse student that is told less
        assert float(loss[row]) == pytest.approx(-10 * np.log10(0.7 * ratios(s, r) + 0.3 * weight * ratios(s, t)), abs=2e-3)


def test_a_method_says_lambda_and_limit(example: tuple[torch.Tensor, ...]) -> None:
    student, teacher, sources = example
    given = distilled(student, teacher, sources, Method(kd_lambda=0.4, gamma_max=None))
    assert torch.equal(given, sakd_loss(student, teacher, sources, 0.4, float("inf")))
    assert torch.equal(distilled(student, teacher, sources, Method()), sakd_loss(student, teacher, sources))
