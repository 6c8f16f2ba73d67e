"""What the file needs from whoever runs it: the same mixtures soft and with a constant, as they are and as ``input_gain`` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.runtime import open_runtime
from edge_runtime.segments import separate
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


def contract_points(path: Path, runtime: str, items: Sequence[Item], sample_rate: int) -> list[ContractPoint]:
    """Separate the first segment of each item in each of CONDITIONS, by the file alone and with the contract kept."""
    opened = open_runtime(path, runtime, sample_rate=sample_rate)
    segments = [segment for item in items if _sounds(segment := _segment(item, opened.segment_samples))]
    if not segments:
        return []
    points = []
    for peak_dbfs, constant in CONDITIONS:
        mixtures = [at_peak(item.mixture, peak_dbfs, constant) for item in segments]
        points.append(
            ContractPoint(
                peak_dbfs=peak_dbfs,
                constant=constant,
                runtime=runtime,
                n=len(segments),
                alone=float(np.mean([_improvement(opened.run(pcm), item) for pcm, item in zip(mixtures, segments, strict=True)])),
                kept=float(np.mean([_improvement(separate(opened, pcm), item) for pcm, item in zip(mixtures, segments, strict=True)])),
            )
        )
    return points


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
