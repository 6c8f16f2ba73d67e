"""Confidence intervals of paired differences."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from validation.record import Number, Record

RESAMPLES = 4000
SEED = 20240229


class Interval(Record):
    """A 95 % confidence interval."""

    low: Number
    high: Number


def paired_differences(reference: npt.ArrayLike, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """values − reference, item by item; equal scores differ by 0, infinite ones too."""
    first, second = np.asarray(reference, np.float64), np.asarray(values, np.float64)
    difference = np.zeros(first.shape)
    unequal = first != second
    difference[unequal] = second[unequal] - first[unequal]
    return difference


def mean_interval(differences: npt.ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Percentile bootstrap interval of the mean of [n] paired differences; the same seed gives the same interval.

    Raises:
        ValueError: there are no differences.
    """
    return interval_of(_resampled(differences, resamples, seed).mean(axis=1))


def fifth_percentile(differences: npt.ArrayLike) -> float:
    """The 5th percentile of [n] differences: of 24 the second worst."""
    return float(np.percentile(np.asarray(differences, np.float64), 5, method="lower"))


def fifth_percentile_interval(differences: npt.ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """As :func:`mean_interval`, of :func:`fifth_percentile`."""
    return interval_of(np.percentile(_resampled(differences, resamples, seed), 5, axis=1, method="lower"))


def of_the_size(mean: float, interval: Interval) -> Interval:
    """The interval of a mean's size |mean|, from that of the mean: turned round where the mean is negative."""
    low, high = sorted(math.copysign(1, mean) * end for end in (interval.low, interval.high))
    return Interval(low=low, high=high)


def _resampled(differences: npt.ArrayLike, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    values = np.asarray(differences, np.float64)
    if not values.size:
        raise ValueError("no differences to resample")
    resampled: npt.NDArray[np.float64] = values[np.random.default_rng(seed).integers(0, values.size, (resamples, values.size))]
    return resampled


def interval_of(statistics: npt.NDArray[np.float64]) -> Interval:
    """The 95 % percentile interval of resampled statistics [n]."""
    low, high = np.percentile(statistics, [2.5, 97.5], method="nearest")
    return Interval(low=float(low), high=float(high))
