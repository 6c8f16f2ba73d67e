"""The figures of a study: every arm in every group of estimates, by the SNR asked for and by the float network's SDR."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from validation.record import Number, Record
from validation.sdr_bins import bin_words, joined_bins
from validation.study.intervals import Mean, clustered_mean
from validation.study.scores import Scores

FEWEST = 10  # estimates of a bin
Kind = Literal["all", "test", "snr", "sdr"]
Positions = npt.NDArray[np.intp]


class ArmFigures(Record):
    """Of one arm in one group, means in dB over seeds and estimates: ``loss`` of SI-SDR against float, and ``gain`` of SI-SDR over the arm
    that the study compares with (None of that arm itself, and where the study names none). ``seed_losses``: the loss of each seed."""

    arm: str
    si_sdr: Number
    sqnr: Number
    loss: Mean
    gain: Mean | None
    seed_losses: list[Number]


class Group(Record):
    """Estimates that are looked at together. ``low`` and ``high``: of kind "sdr" the bin in dB, of kind "snr" the SNR asked for."""

    kind: Kind
    label: str
    low: Number
    high: Number
    n: int
    sdr: Number
    arms: list[ArmFigures]


def groups_of(scores: Scores, against: str) -> list[Group]:
    """All groups of a study: everything, the set test, each SNR of the sweep, and bins of the float network's SDR of FEWEST or more."""
    found = [
        _group(scores, against, "all", "all", (-np.inf, np.inf), scores.where(lambda _: True)),
        _group(scores, against, "test", "test", (-np.inf, np.inf), scores.where(lambda e: e.set == "test")),
    ]
    for snr in sorted({e.snr_db for e in scores.estimates if e.set == "sweep" and e.snr_db is not None}):
        positions = scores.where(lambda e, snr=snr: e.set == "sweep" and e.snr_db == snr)  # type: ignore[misc]
        found.append(_group(scores, against, "snr", f"{snr:+g} dB", (snr, snr), positions))
    for ends, members in joined_bins([float(sdr) for sdr in scores.sdr], FEWEST).items():
        found.append(_group(scores, against, "sdr", bin_words(ends), ends, np.array(members, np.intp)))
    return found


def _group(scores: Scores, against: str, kind: Kind, label: str, ends: tuple[float, float], positions: Positions) -> Group:
    arms = [_figures(scores, name, against, positions) for name in scores.arms]
    sdr = float(scores.sdr[positions].mean())
    return Group(kind=kind, label=label, low=ends[0], high=ends[1], n=len(positions), sdr=sdr, arms=arms)


def _figures(scores: Scores, name: str, against: str, positions: Positions) -> ArmFigures:
    arm, loss = scores.arms[name], scores.loss(name)[:, positions]
    parts = [scores.estimates[k].parts for k in positions]
    gain = None
    if against and name != against:
        other = scores.loss(against)[:, positions]
        paired = (other if len(other) == len(loss) else other.mean(0)) - loss  # the same seed is the same examples
        gain = clustered_mean(paired, parts)
    return ArmFigures(
        arm=name,
        si_sdr=float(arm.si_sdr[:, positions].mean()),
        sqnr=float(arm.sqnr[:, positions].mean()),
        loss=clustered_mean(loss, parts),
        gain=gain,
        seed_losses=[float(row.mean()) for row in loss],
    )
