"""The quantized networks' SDR beside theorem III.1: mixture by mixture, as the theorem is stated."""

from __future__ import annotations

import numpy as np

from validation.record import Number, Record
from validation.sdr_bins import bin_words, joined_bins
from validation.study.results import FEWEST
from validation.study.scores import ArmScores, Figures, Scores
from validation.theory import predicted_loss, upper_bound

MEANS = ("sdr", "sdr_quantized", "sqnr", "correlation", "uncorrelated", "bound")


class BoundRow(Record):
    """Mixtures of one arm: means of the SDRs of float and quantized network, of the SQNR, of α_max, of the SDR that uncorrelated noise
    would leave, and of the bound; and how many mixtures lie above their bound, which none can."""

    arm: str
    label: str
    n: int
    sdr: Number
    sdr_quantized: Number
    sqnr: Number
    correlation: Number
    uncorrelated: Number
    bound: Number
    above: int


def bound_rows(scores: Scores) -> list[BoundRow]:
    """Every arm at each SNR of the sweep, and in bins of the float SDR (mean over the sources) of FEWEST mixtures or more; seeds count as
    further mixtures."""
    mixtures: dict[str, list[int]] = {}
    for position, estimate in enumerate(scores.estimates):
        mixtures.setdefault(estimate.mixture, []).append(position)
    members = list(mixtures.values())
    groups: dict[str, list[int]] = {}
    for number, positions in enumerate(members):
        asked = scores.estimates[positions[0]].snr_db
        if asked is not None:
            groups.setdefault(f"SNR {asked:+g} dB", []).append(number)
    bins = joined_bins([float(scores.sdr[positions].mean()) for positions in members], FEWEST)
    groups |= {f"float SDR {bin_words(ends)}": chosen for ends, chosen in bins.items()}
    return [
        _row(name, label, [_of_mixture(scores.sdr[members[k]], arm, seed, members[k]) for seed in range(len(arm.sdr)) for k in chosen])
        for name, arm in scores.arms.items()
        for label, chosen in groups.items()
    ]


def _of_mixture(sdr: Figures, arm: ArmScores, seed: int, positions: list[int]) -> tuple[float, ...]:
    """The means of a row, in their order, of one mixture whose estimates lie at ``positions``."""
    quantized, sqnr, correlation = (found[seed, positions] for found in (arm.sdr, arm.sqnr, arm.correlation))
    uncorrelated = np.mean([s - predicted_loss(float(s), float(q)) for s, q in zip(sdr, sqnr, strict=True)])
    bound = upper_bound(float(sdr.mean()), float(sqnr.mean()), len(positions), float(correlation.max()))
    return float(sdr.mean()), float(quantized.mean()), float(sqnr.mean()), float(correlation.max()), float(uncorrelated), bound


def _row(arm: str, label: str, mixtures: list[tuple[float, ...]]) -> BoundRow:
    table = np.array(mixtures)
    means = dict(zip(MEANS, map(float, table.mean(0)), strict=True))
    return BoundRow(arm=arm, label=label, n=len(mixtures), above=int((table[:, 1] > table[:, 5] + 1e-9).sum()), **means)
