"""Losses of music: L1 on waveforms in a fixed order of the sources (Défossez et al. 2019), and SAKD with it (FQSS paper, eq. 6-7).

Waveforms are [B, S, A, T]: S sources of A audio channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from export_specs.method import GAMMA_MAX, KD_LAMBDA, Method
from pipeline.losses.si_sdr import sdr


def l1(estimate: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute error of each example: [B]."""
    return (estimate - reference).abs().flatten(1).mean(1)


def pooled_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Plain SDR of eq. (2) in dB of each example [B], energies summed over sources, channels and time."""
    return sdr(estimate.flatten(1), reference.flatten(1))


def music_gamma(teacher: Tensor, student: Tensor, sources: Tensor, gamma_max: float = GAMMA_MAX) -> Tensor:
    """gamma = 10^((SDR - SDR_Q) / 10) of each example [B], detached and at most ``gamma_max``: large where quantization hurts."""
    with torch.no_grad():
        difference = pooled_sdr(teacher, sources) - pooled_sdr(student, sources)
        return (10 ** (difference / 10)).clamp(max=gamma_max)


def music_sakd_loss(
    student: Tensor, teacher: Tensor, sources: Tensor, kd_lambda: float = KD_LAMBDA, gamma_max: float = GAMMA_MAX
) -> Tensor:
    """(1 - lambda) * L1(student, sources) + lambda * gamma * L1(student, teacher) of each example [B]."""
    gamma = music_gamma(teacher, student, sources, gamma_max)
    return (1 - kd_lambda) * l1(student, sources) + kd_lambda * gamma * l1(student, teacher.detach())


def music_distilled(student: Tensor, teacher: Tensor, sources: Tensor, method: Method) -> Tensor:
    """The loss of music that a method asks for, of each example [B]; the paper's public code weighs it by gamma too."""
    return music_sakd_loss(student, teacher, sources, method.kd_lambda, math.inf if method.gamma_max is None else method.gamma_max)
