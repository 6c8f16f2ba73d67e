"""The same mixtures, softer: a recording of low level must separate as well as a loud one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.parallel import separate_many
from export_specs.foundation.progress import tracked
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
    full: Sequence[float] | None = None,
) -> list[LevelPoint]:
    """Separate the items at each of ``levels_db`` below their level, and at it unless ``full``, their SI-SDR there, is known."""
    clips = [soften(item.mixture, level) for level in (*([] if full else [0]), *levels_db) for item in items]
    scores = []
    separated = tracked(separate_many(path, runtime, clips, workers, sample_rate=sample_rate), f"softer mixtures in {runtime}", len(clips))
    for number, estimates in enumerate(separated):
        scores.append(float(np.mean(matched(estimates, items[number % len(items)])[1])))
    rows = np.array([*(full or []), *scores]).reshape(-1, len(items))
    points = []
    for level, row in zip(levels_db, rows[1:], strict=True):
        change = paired_differences(rows[0], row)
        points.append(
            LevelPoint(
                softer_db=level,
                runtime=runtime,
                n=len(items),
                change=float(change.mean()),
                interval=mean_interval(change),
                worst=float(change.min()),
            )
        )
    return points
