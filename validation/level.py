"""The same mixtures, softer: a recording of low level must separate as well as a loud one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.parallel import separate_many
from export_specs.foundation.progress import tracked
from validation.batches import until_known
from validation.bootstrap import Interval, mean_interval, paired_differences
from validation.evaluation_set import Item
from validation.permutation import matched
from validation.record import Number, Record


class LevelPoint(Record):
    """``n`` mixtures made ``softer_db`` dB softer. ``change`` is the mean change of SI-SDR in dB against the mixtures as they are,
    ``interval`` its 95 % interval, ``worst`` the largest fall of a single mixture."""

    softer_db: int
    runtime: str
    n: int
    change: Number
    interval: Interval
    worst: Number


def soften(mixture: npt.NDArray[np.int16], softer_db: float) -> npt.NDArray[np.int16]:
    """The int16 mixture [T] at 10^(−dB/20) of its level, rounded: the low bits are lost, as in a soft recording."""
    softer: npt.NDArray[np.int16] = np.rint(mixture * 10 ** (-softer_db / 20)).astype(np.int16)
    return softer


def level_sweep(
    path: Path,
    runtime: str,
    items: Sequence[Item],
    levels_db: Sequence[int],
    sample_rate: int,
    workers: int | None = None,
    full: Mapping[str, float] | None = None,
) -> list[LevelPoint]:
    """Separate items at each of ``levels_db`` below their level, and at it those whose SI-SDR there is not in ``full``, by name.

    As many of the items as it takes to know each mean change (:func:`validation.batches.until_known`).
    """
    known = dict(full or {})
    changes = np.empty((len(levels_db), 0))

    def measure(batch: list[Item]) -> None:
        nonlocal changes
        jobs = [(item, 0) for item in batch if item.id not in known] + [(item, level) for level in levels_db for item in batch]
        clips = [soften(item.mixture, level) for item, level in jobs]
        separated = separate_many(path, runtime, clips, workers, sample_rate=sample_rate)
        told = tracked(separated, f"softer mixtures in {runtime}", len(clips))
        scores = [float(np.mean(matched(estimates, item)[1])) for (item, _), estimates in zip(jobs, told, strict=True)]
        loud = len(scores) - len(levels_db) * len(batch)
        known.update(zip((item.id for item, _ in jobs[:loud]), scores[:loud], strict=True))
        softer = np.reshape(scores[loud:], (len(levels_db), len(batch)))
        found = paired_differences(np.broadcast_to([known[item.id] for item in batch], softer.shape), softer)
        changes = np.concatenate([changes, found], axis=1)

    until_known(items, measure, lambda: map(mean_interval, changes))
    return [
        LevelPoint(
            softer_db=level,
            runtime=runtime,
            n=change.size,
            change=float(change.mean()),
            interval=mean_interval(change),
            worst=float(change.min()),
        )
        for level, change in zip(levels_db, changes, strict=True)
    ]
