"""SI-SDR and SDR in torch, with permutation-invariant training. Waveforms are [..., T]; results are decibels."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

_EPS = 1e-8


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant SDR in dB over the last axis, of zero-mean signals (Le Roux et al. 2019, eq. 3)."""
    estimate = estimate - estimate.mean(-1, keepdim=True)
    reference = reference - reference.mean(-1, keepdim=True)
    scale = (estimate * reference).sum(-1, keepdim=True) / (reference.square().sum(-1, keepdim=True) + _EPS)
    target = scale * reference
    return _ratio_db(target, estimate - target)


def sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Plain SDR in dB over the last axis: energy of the reference over energy of the error (FQSS paper, eq. 2)."""
    return _ratio_db(reference, reference - estimate)


def level_factor(estimate: Tensor, sources: Tensor) -> Tensor:
    """The factor of each example [B, 1, 1] that brings its estimates [B, S, T], already in order, to the sources' level: least squares."""
    return (estimate * sources).sum((1, 2), keepdim=True) / estimate.square().sum((1, 2), keepdim=True).clamp(min=1e-12)


def best_permutation(estimate: Tensor, reference: Tensor) -> Tensor:
    """The order of the estimates [B, S, T] that gives the highest mean SI-SDR against the references: indices [B, S]."""
    pairwise = si_sdr(estimate[:, :, None], reference[:, None])  # [B, S_estimate, S_reference]
    orders = torch.tensor(list(permutations(range(estimate.shape[1]))), device=estimate.device)  # [P, S]
    columns = torch.arange(estimate.shape[1], device=estimate.device)
    scores = pairwise[:, orders, columns].mean(-1)  # [B, P]
    return orders[scores.argmax(-1)]


def reorder(estimate: Tensor, order: Tensor) -> Tensor:
    """Estimates [B, S, T] in the order [B, S]."""
    return estimate.gather(1, order[:, :, None].expand_as(estimate))


def negative_si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Permutation-invariant negative SI-SDR of each example, averaged over its sources: [B]."""
    return -si_sdr(reorder(estimate, best_permutation(estimate, reference)), reference).mean(-1)


def _ratio_db(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * torch.log10((signal.square().sum(-1) + _EPS) / (noise.square().sum(-1) + _EPS))
