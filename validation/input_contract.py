"""What the file needs from whoever runs it: the same mixtures soft and with a constant, as they are and as ``input_gain`` asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.segments import separate
from export_specs.foundation.progress import tracked
from validation.batches import doubling, until_known
from validation.bootstrap import Interval, mean_interval
from validation.evaluation_set import Item
from validation.metrics import si_sdr
from validation.permutation import matched
from validation.record import Number, Record

FULL_SCALE = 32768
CONDITIONS = ((-8.0, 0.0), (-20.0, 0.0), (-28.0, 0.0), (-38.0, 0.0), (-8.0, 0.02))  # peak in dB of full scale; constant, 1.0 = full scale


class ContractPoint(Record):
    """``n`` mixtures brought to a peak of ``peak_dbfs`` with a constant of ``constant`` (1.0 = full scale) added, one segment of each.

    Mean improvement of SI-SDR in dB over the mixture without the constant: ``kept`` with the constant removed and the gain chosen by
    ``edge_runtime.level``, which ``separator.c`` does too; ``alone``, of the first 16 of them, of the file given the samples as they are.
    """

    peak_dbfs: Number
    constant: Number
    runtime: str
    n: int
    alone: Number
    kept: Number


class Contract(Record):
    """The points, and the largest less the least of their means with the contract kept, in dB, with its 95 % interval over the mixtures."""

    points: list[ContractPoint]
    spread: Number
    interval: Interval


def contract_of(path: Path, runtime: str, items: Sequence[Item], sample_rate: int, workers: int | None = None) -> Contract | None:
    """Separate the first segment of items in each of CONDITIONS, by the file alone and with the contract kept; None where no item sounds.

    With it kept as many items as it takes to know the spread (:func:`validation.batches.until_known`), alone the first batch of them: no
    limit stands on that.

    ``workers``: threads, each with a runtime of its own (they leave Python alone while they run); by default one for each processor.
    """
    first = open_runtime(path, runtime, sample_rate=sample_rate)
    segments = [segment for item in items if _sounds(segment := _segment(item, first.segment_samples))]
    if not segments:
        return None
    count = workers or len(os.sched_getaffinity(0))
    idle: SimpleQueue[FileRuntime] = SimpleQueue()
    for opened in (first, *(open_runtime(path, runtime, sample_rate=sample_rate) for _ in range(count - 1))):
        idle.put(opened)

    def improvement(job: tuple[tuple[float, float], bool, Item]) -> float:
        condition, keeps, item = job
        pcm, opened = at_peak(item.mixture, *condition), idle.get()
        try:
            return _improvement(separate(opened, pcm) if keeps else opened.run(pcm), item)
        finally:
            idle.put(opened)

    def improvements(keeps: bool, batch: list[Item]) -> npt.NDArray[np.float64]:
        jobs = [(condition, keeps, item) for condition in CONDITIONS for item in batch]
        what = "with its input contract kept" if keeps else "the file alone"
        with ThreadPoolExecutor(count) as pool:
            found = list(tracked(pool.map(improvement, jobs), f"{what}, mixture", len(jobs)))
        return np.reshape(found, (len(CONDITIONS), len(batch)))

    kept = np.empty((len(CONDITIONS), 0))

    def measure(batch: list[Item]) -> None:
        nonlocal kept
        kept = np.concatenate([kept, improvements(True, batch)], axis=1)

    until_known(segments, measure, lambda: [_spread_interval(kept)])
    alone = improvements(False, next(doubling(segments)))
    points = [
        ContractPoint(peak_dbfs=peak, constant=constant, runtime=runtime, n=kept.shape[1], alone=float(lost), kept=float(found))
        for (peak, constant), lost, found in zip(CONDITIONS, alone.mean(axis=1), kept.mean(axis=1), strict=True)
    ]
    return Contract(points=points, spread=float(np.ptp(kept.mean(axis=1))), interval=_spread_interval(kept))


def _spread_interval(kept: npt.NDArray[np.float64]) -> Interval:
    """Of the means of ``kept`` [conditions, mixtures] the two that differ most: the largest ends over all pairs of conditions.

    Resampling the spread itself would not do: the largest of means less the least grows with every noise, so that its interval lies
    above the spread.
    """
    pairs = [mean_interval(one - other) for one, other in combinations(kept, 2)]
    return Interval(low=max(0.0, *(max(pair.low, -pair.high) for pair in pairs)), high=max(max(-pair.low, pair.high) for pair in pairs))


def at_peak(mixture: npt.NDArray[np.int16], peak_dbfs: float, constant: float) -> npt.NDArray[np.int16]:
    """The int16 mixture [T] or [A, T] at another level, rounded and saturated, with a constant under it."""
    peak = max(1, int(np.abs(mixture.astype(np.int32)).max()))
    scaled = mixture * (10 ** (peak_dbfs / 20) * FULL_SCALE / peak) + constant * FULL_SCALE
    saturated: npt.NDArray[np.int16] = np.clip(np.rint(scaled), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return saturated


def _segment(item: Item, samples: int) -> Item:
    """The first ``samples`` of an item, zeros after it where it is shorter."""

    def cut(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        kept = pcm[..., :samples]
        return np.pad(kept, [*[(0, 0)] * (pcm.ndim - 1), (0, samples - kept.shape[-1])])

    return Item(item.id, item.subset, item.snr_db, cut(item.mixture), cut(item.sources), item.named)


def _sounds(item: Item) -> bool:
    """Whether every source does, in this segment."""
    return all(source.min() != source.max() for source in item.sources)


def _improvement(estimates: npt.NDArray[np.int16], item: Item) -> float:
    before = [si_sdr(item.mixture, source) for source in item.sources]
    return float(np.mean(matched(estimates, item)[1]) - np.mean(before))
