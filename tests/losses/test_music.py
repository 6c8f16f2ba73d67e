"""Losses of music, by hand."""

import math

import torch

from pipeline.losses.music import l1, music_gamma, music_sakd_loss, pooled_sdr
from pipeline.losses.objective import MUSIC, SPEECH, objective_of

SOURCES = torch.randn(3, 4, 2, 50, generator=torch.Generator().manual_seed(0))


def test_l1_keeps_the_order_of_the_sources() -> None:
    assert torch.equal(l1(SOURCES, SOURCES), torch.zeros(3))
    assert (l1(SOURCES.flip(1), SOURCES) > 0.5).all()
    torch.testing.assert_close(l1(SOURCES + 0.25, SOURCES), torch.full((3,), 0.25))


def test_sdr_is_pooled_over_sources_channels_and_time() -> None:
    estimate = SOURCES.clone()
    estimate[:, 0] = 0  # all of the first source is error
    energies = SOURCES.square().sum((2, 3))
    expected = 10 * torch.log10(energies.sum(1) / energies[:, 0])
    torch.testing.assert_close(pooled_sdr(estimate, SOURCES), expected)


def test_gamma_is_the_ratio_of_the_errors_and_has_no_gradient() -> None:
    teacher, student = SOURCES * 0.9, (SOURCES * 0.8).requires_grad_()
    gamma = music_gamma(teacher, student, SOURCES)
    torch.testing.assert_close(gamma, torch.full((3,), 4.0), rtol=1e-4, atol=0)  # errors 0.1 and 0.2, energies 1 : 4
    assert not gamma.requires_grad
    assert float(music_gamma(SOURCES, student, SOURCES)[0]) == 10.0


def test_sakd_adds_the_distillation_times_gamma() -> None:
    teacher, student = SOURCES * 0.9, SOURCES * 0.8
    magnitude = SOURCES.abs().flatten(1).mean(1)
    expected = 0.9 * 0.2 * magnitude + 0.1 * 4.0 * 0.1 * magnitude
    torch.testing.assert_close(music_sakd_loss(student, teacher, SOURCES), expected, rtol=1e-4, atol=0)


def test_a_task_chooses_its_objective() -> None:
    assert objective_of("music") is MUSIC
    assert objective_of("separation") is objective_of("enhancement") is SPEECH
    mixture = SOURCES.sum(1)
    assert math.isfinite(float(MUSIC.figure(SOURCES * 0.5, mixture, SOURCES).mean()))
    before = SPEECH.figure(mixture[:, None, 0].expand(-1, 4, -1), mixture[:, 0], SOURCES[:, :, 0])
    torch.testing.assert_close(before, torch.zeros(3), atol=1e-4, rtol=0)  # the mixture itself improves nothing
