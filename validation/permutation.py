"""Which estimate belongs to which source: one to one, by SI-SDR, never the best reference for each estimate on its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from validation.evaluation_set import Item
from validation.metrics import si_sdr

_LARGEST_DB = 1000.0


def matched(estimates: npt.ArrayLike, item: Item) -> tuple[tuple[int, ...], list[float]]:
    """The order of the estimates of a mixture, and the SI-SDR in dB of each source.

    Sources that have names ("drums", …) keep the order in which the estimates come; of speakers it is :func:`best_order`.
    """
    if not item.named:
        return best_order(estimates, item.sources)
    pairs = zip(np.asarray(estimates, np.float64), item.sources, strict=True)
    return tuple(range(len(item.sources))), [si_sdr(guess, truth) for guess, truth in pairs]


def best_order(estimates: npt.ArrayLike, sources: npt.ArrayLike) -> tuple[tuple[int, ...], list[float]]:
    """The one-to-one order of the highest mean SI-SDR.

    Args:
        estimates, sources: [S, T], or [S, A, T] with the channels of a source taken together.

    Returns:
        ``order`` with ``estimates[order[m]]`` belonging to ``sources[m]``, and the SI-SDR in dB of each source. For the choice alone
        infinite values count as ±1000 dB (a silent estimate fits no source better than another).
    """
    guesses, truths = np.asarray(estimates, np.float64), np.asarray(sources, np.float64)
    if guesses.shape != truths.shape:
        raise ValueError(f"{list(guesses.shape)} estimates for {list(truths.shape)} sources")
    table = np.array([[si_sdr(guess, truth) for guess in guesses] for truth in truths])
    rows, columns = linear_sum_assignment(np.clip(table, -_LARGEST_DB, _LARGEST_DB), maximize=True)
    return tuple(int(column) for column in columns), [float(value) for value in table[rows, columns]]
