"""SDR-Aware Knowledge Distillation (FQSS paper, eq. 6-7)."""

from __future__ import annotations

import math
from itertools import permutations

import torch
from torch import Tensor

from export_specs.method import GAMMA_MAX, KD_LAMBDA, Method
from pipeline.losses.si_sdr import best_permutation, level_factor, negative_si_sdr, reorder, sdr, si_sdr


def distillation_weight(teacher: Tensor, student: Tensor, sources: Tensor, gamma_max: float = GAMMA_MAX) -> Tensor:
    """gamma = 10^((SDR - SDR_Q) / 10) of each example [B], detached: large where quantization hurts.

    SDR is the plain one of eq. (2), averaged over the sources, of teacher and student [B, S, T], each in the order that
    the task chooses for it and at the sources' level, which both losses leave open: plain SDR would take a drift of the level
    for loss by quantization. The paper prints the float network in both terms; the second is the quantized one.
    ``gamma_max`` limits it: a single example that the student has lost would otherwise take over the batch.
    """
    with torch.no_grad():
        ordered = [reorder(estimate, best_permutation(estimate, sources)) for estimate in (teacher, student)]
        sdr_float, sdr_quantized = (sdr(level_factor(estimate, sources) * estimate, sources).mean(-1) for estimate in ordered)
        return (10 ** ((sdr_float - sdr_quantized) / 10)).clamp(max=gamma_max)


def sakd_loss(student: Tensor, teacher: Tensor, sources: Tensor, kd_lambda: float = KD_LAMBDA, gamma_max: float = GAMMA_MAX) -> Tensor:
    """(1 - lambda) * L_task + lambda * gamma * L_kd of each example [B]; both losses are negative SI-SDR in dB.

    The student is compared with the teacher in the teacher's own order: it starts from it.
    """
    gamma = distillation_weight(teacher, student, sources, gamma_max)
    distillation = -si_sdr(student, teacher.detach()).mean(-1)
    return (1 - kd_lambda) * negative_si_sdr(student, sources) + kd_lambda * gamma * distillation


def public_code_loss(student: Tensor, teacher: Tensor, sources: Tensor, kd_lambda: float = KD_LAMBDA) -> Tensor:
    """The loss of speech in the paper's public code, of each example [B]: ratios instead of decibels, mixed in one logarithm.

    -10 log10((1 - lambda) R_task + lambda R_kd / gamma): R are SI-SDR as ratios, averaged over the sources in the order in which that is
    largest, and gamma is 10^(difference / 10) of the mean SI-SDR of teacher and student.
    """
    with torch.no_grad():
        gamma = 10 ** ((negative_si_sdr(student, sources) - negative_si_sdr(teacher, sources)) / 10)
    task, distillation = _largest_mean_ratio(student, sources), _largest_mean_ratio(student, teacher.detach())
    return -10 * torch.log10((1 - kd_lambda) * task + kd_lambda * distillation / gamma + 1e-8)


def distilled(student: Tensor, teacher: Tensor, sources: Tensor, method: Method) -> Tensor:
    """The loss of speech that a method asks for, of each example [B]."""
    if method.weighting == "public-code":
        return public_code_loss(student, teacher, sources, method.kd_lambda)
    return sakd_loss(student, teacher, sources, method.kd_lambda, math.inf if method.gamma_max is None else method.gamma_max)


def _largest_mean_ratio(estimate: Tensor, reference: Tensor) -> Tensor:
    orders = [list(order) for order in permutations(range(estimate.shape[1]))]
    ratios = [10 ** (si_sdr(estimate[:, order], reference) / 10) for order in orders]  # each [B, S]
    return torch.stack([ratio.mean(-1) for ratio in ratios]).amax(0)
