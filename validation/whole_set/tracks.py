"""Scores of whole tracks, from pieces of a second: in float64 a track of five minutes would take gigabytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from validation.evaluation_set import Item, Pcm
from validation.ladder import ItemScore
from validation.metrics import ratio_db, sdr_of_windows, window_ratios

PIECE_SECONDS = 10
Sums = npt.NDArray[np.float64]


def score_track(item: Item, estimates: Pcm, reference: Pcm, sample_rate: int) -> ItemScore:
    """As :func:`validation.ladder.score_item` of sources that have names, from int16 [S, A, T], in pieces.

    Args:
        reference: the float stage's estimates.
    """
    mixture = np.broadcast_to(item.mixture, item.sources.shape)
    found, unprocessed = (_si_sdr(sound, item.sources, sample_rate) for sound in (estimates, mixture))
    source_sdr = _median_sdr(estimates, item.sources, sample_rate)
    noise = signal = 0.0
    for ours, floats in _pieces(sample_rate, estimates, reference):
        noise += float(np.square(ours - floats).sum())
        signal += float(np.square(floats).sum())
    return ItemScore(
        id=item.id,
        subset=item.subset,
        si_sdr=float(np.mean(found)),
        si_sdr_input=float(np.mean(unprocessed)),
        sdr=float(np.mean(source_sdr)),
        source_si_sdr=tuple(found),
        source_sdr=tuple(source_sdr),
        stoi=None,
        order=tuple(range(len(item.sources))),
        sqnr=np.inf if noise == 0 else ratio_db(signal, noise),
    )


def _pieces(sample_rate: int, *waveforms: Pcm) -> Iterator[tuple[npt.NDArray[np.float64], ...]]:
    """Whole seconds of the waveforms [S, A, T], as float64 in codes; the last piece ends with them."""
    length = PIECE_SECONDS * sample_rate
    for start in range(0, waveforms[0].shape[-1], length):
        yield tuple(waveform[..., start : start + length].astype(np.float64) for waveform in waveforms)


def _si_sdr(estimates: Pcm, sources: Pcm, sample_rate: int) -> list[float]:
    """SI-SDR of zero-mean signals, of each source its channels together, from sums over the pieces."""
    totals: Sums = np.zeros((5, len(sources)))
    for heard, truth in _pieces(sample_rate, estimates, sources):
        flat = [part.reshape(len(sources), -1) for part in (heard, truth)]
        products = (flat[0] ** 2, flat[1] ** 2, flat[0] * flat[1])
        totals += np.stack([part.sum(axis=1) for part in (*flat, *products)])
    count = sources[0].size
    of_estimate, of_source, squares, energies, crossed = totals
    squares, energies = squares - of_estimate**2 / count, energies - of_source**2 / count
    crossed = crossed - of_estimate * of_source / count
    explained = crossed**2 / energies
    return [
        -np.inf if target == 0 else ratio_db(target, max(0.0, energy - target))
        for target, energy in zip(explained.tolist(), squares.tolist(), strict=True)
    ]


def _median_sdr(estimates: Pcm, sources: Pcm, sample_rate: int) -> list[float]:
    ratios = [row for pair in _pieces(sample_rate, estimates, sources) for row in window_ratios(pair[0], pair[1], sample_rate)]
    if not ratios:  # every second has a silent source: as a whole, as museval's windows are then
        return sdr_of_windows(estimates, sources, sample_rate)
    return [float(median) for median in np.median(ratios, axis=0)]
