"""Means over seeds and mixtures with intervals that know of both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from validation.bootstrap import RESAMPLES, SEED, Interval, interval_of
from validation.record import Number, Record


class Mean(Record):
    """A mean over ``n`` estimates and all seeds, with its 95 % interval."""

    n: int
    mean: Number
    interval: Interval

    @property
    def decided(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval.low > 0 or self.interval.high < 0

    def words(self) -> str:
        """ "0.31 [0.22, 0.41]"."""
        return f"{self.mean:.2f} [{self.interval.low:.2f}, {self.interval.high:.2f}]"


def clustered_mean(values: npt.ArrayLike, clusters: Sequence[str]) -> Mean:
    """The mean of values [seeds, estimates] and its percentile bootstrap interval, in which seeds and whole clusters are drawn again.

    The estimates of one mixture stand or fall together, and so do mixtures of the same voices at several SNRs. With one seed the interval
    knows nothing of how trainings differ; with two or three it makes too little of it.

    Args:
        clusters: what each estimate shares with others.

    Raises:
        ValueError: there are no estimates.
    """
    table = np.atleast_2d(np.asarray(values, np.float64))
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    if not len(names):
        raise ValueError("no estimates to take a mean of")
    sums = np.stack([np.bincount(place, row, len(names)) for row in table])  # [seeds, clusters]
    counts = np.bincount(place, minlength=len(names))
    random = np.random.default_rng(SEED)
    clusters_drawn = random.integers(0, len(names), (RESAMPLES, len(names)))
    seeds = random.integers(0, len(table), (RESAMPLES, len(table)))
    drawn = np.array([sums[rows].mean(0)[columns].sum() for rows, columns in zip(seeds, clusters_drawn, strict=True)])
    interval = interval_of(drawn / counts[clusters_drawn].sum(1))
    return Mean(n=table.shape[1], mean=float(table.mean()), interval=interval)
