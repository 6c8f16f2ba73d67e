"""Bins of the float network's SDR, because one loss in dB means another quality of the int8 file at 5 dB than at 25 dB."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH_DB = 5.0
LOWEST_DB, HIGHEST_DB = -10.0, 30.0  # below and above lie two open bins, so that no estimate is left out

Bin = tuple[float, float]


def bin_of(sdr: float) -> Bin:
    """The bin [low, high) in dB that an SDR lies in."""
    if sdr < LOWEST_DB:
        return -math.inf, LOWEST_DB
    if sdr >= HIGHEST_DB:
        return HIGHEST_DB, math.inf
    low = WIDTH_DB * (sdr // WIDTH_DB)
    return low, low + WIDTH_DB


def middle(found: Bin) -> float:
    """The SDR in dB that stands for a bin: its middle; of an open one half a width beyond its end."""
    low, high = found
    return high - WIDTH_DB / 2 if math.isinf(low) else low + WIDTH_DB / 2


def binned(sdrs: Sequence[float]) -> dict[Bin, list[int]]:
    """The positions of the SDRs in each bin that has any, the lowest bin first."""
    found: dict[Bin, list[int]] = {}
    for position, sdr in enumerate(sdrs):
        found.setdefault(bin_of(sdr), []).append(position)
    return dict(sorted(found.items()))


def joined_bins(sdrs: Sequence[float], least: int) -> dict[Bin, list[int]]:
    """As :func:`binned`, with neighbours joined until each holds ``least``: a sparse bin goes to the one below it, the lowest to the one
    above. With fewer than ``least`` in all, everything is one bin."""
    joined: list[tuple[Bin, list[int]]] = []
    for (low, high), positions in reversed(binned(sdrs).items()):
        if joined and len(joined[-1][1]) < least:
            (_, top), waiting = joined.pop()
            high, positions = top, positions + waiting
        joined.append(((low, high), positions))
    if len(joined) > 1 and len(joined[-1][1]) < least:
        (low, _), left = joined.pop()
        (_, high), positions = joined.pop()
        joined.append(((low, high), left + positions))
    return dict(reversed(joined))


def bin_words(found: Bin) -> str:
    """ "10 to 15 dB", "below −10 dB", "30 dB and more"."""
    low, high = found
    if math.isinf(low) and math.isinf(high):
        return "any SDR"
    if math.isinf(low):
        return f"below {high:g} dB"
    return f"{low:g} dB and more" if math.isinf(high) else f"{low:g} to {high:g} dB"
