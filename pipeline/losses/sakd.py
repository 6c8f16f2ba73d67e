"""SDR-Aware Knowledge Distillation (FQSS paper, eq. 6-7)."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.losses.si_sdr import best_permutation, level_factor, negative_si_sdr, reorder, sdr, si_sdr

KD_LAMBDA = 0.1
GAMMA_MAX = 10.0


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
