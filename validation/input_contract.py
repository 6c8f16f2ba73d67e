"""What the file needs from whoever runs it: the same mixtures soft and with a constant, as they are and as ``input_gain`` asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.segments import separate
from export_specs.foundation.progress import tracked
from validation.evaluation_set import Item
from validation.metrics import si_sdr
from validation.permutation import matched
from validation.record import Number, Record

FULL_SCALE = 32768
CONDITIONS = ((-8.0, 0.0), (-20.0, 0.0), (-28.0, 0.0), (-38.0, 0.0), (-8.0, 0.02))  # peak in dB of full scale; constant, 1.0 = full scale


class ContractPoint(Record):
    """``n`` mixtures brought to a peak of ``peak_dbfs`` with a constant of ``constant`` (1.0 = full scale) added, one segment of each.

    Mean improvement of SI-SDR in dB over the mixture without the constant: ``alone`` of the file given the samples as they are, ``kept``
    with the constant removed and the gain chosen by ``edge_runtime.level``, which ``separator.c`` does too.
    """

    peak_dbfs: Number
    constant: Number
    runtime: str
    n: int
    alone: Number
    kept: Number


def contract_points(path: Path, runtime: str, items: Sequence[Item], sample_rate: int, workers: int | None = None) -> list[ContractPoint]:
    """Separate the first segment of each item in each of CONDITIONS, by the file alone and with the contract kept.

    ``workers``: threads, each with a runtime of its own (they leave Python alone while they run); by default one for each processor.
    """
    first = open_runtime(path, runtime, sample_rate=sample_rate)
    segments = [segment for item in items if _sounds(segment := _segment(item, first.segment_samples))]
    if not segments:
        return []
    count = workers or len(os.sched_getaffinity(0))
    idle: SimpleQueue[FileRuntime] = SimpleQueue()
    for opened in (first, *(open_runtime(path, runtime, sample_rate=sample_rate) for _ in range(count - 1))):
        idle.put(opened)

    def improvement(job: tuple[tuple[float, float], bool, Item]) -> float:
        condition, kept, item = job
        pcm, opened = at_peak(item.mixture, *condition), idle.get()
        try:
            return _improvement(separate(opened, pcm) if kept else opened.run(pcm), item)
        finally:
            idle.put(opened)

    jobs = [(condition, kept, item) for condition in CONDITIONS for kept in (False, True) for item in segments]
    with ThreadPoolExecutor(count) as pool:
        found = list(tracked(pool.map(improvement, jobs), "the file alone, and with its input contract kept, mixture", len(jobs)))
    means = np.array(found).reshape(len(CONDITIONS), 2, len(segments)).mean(axis=-1)
    return [
        ContractPoint(peak_dbfs=peak, constant=constant, runtime=runtime, n=len(segments), alone=float(alone), kept=float(kept))
        for (peak, constant), (alone, kept) in zip(CONDITIONS, means, strict=True)
    ]


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
