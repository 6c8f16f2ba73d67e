"""The sweep over softer recordings: what is known of their full level is not computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.signature import Pcm
from tests.validation.synthetic import RATE, make_item, noisy
from validation import level
from validation.batches import WIDTH_DB
from validation.evaluation_set import Item
from validation.level import level_sweep
from validation.permutation import matched


def test_known_scores_of_the_full_level_give_the_same_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [make_item(seed, f"m{seed}") for seed in range(3)]
    ran: list[int] = []
    monkeypatch.setattr(level, "separate_many", _separator(items, ran))
    loud = {
        item.id: float(np.mean(matched(estimates, item)[1]))
        for estimates, item in zip(level.separate_many(Path(), "", [i.mixture for i in items]), items, strict=True)
    }
    arguments = (Path("x.tflite"), "litert-ref", items, [6, 40], RATE)
    whole, short = level_sweep(*arguments), level_sweep(*arguments, full=loud)
    assert whole == short and ran == [3, 9, 6]
    assert whole[0].change > whole[1].change and whole[1].change < -0.01
    part = level_sweep(*arguments, full={"m1": loud["m1"]})
    assert part == whole and ran[-1] == 8


def test_a_sweep_ends_where_its_means_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [make_item(seed, f"m{seed}") for seed in range(20)]
    ran: list[int] = []
    monkeypatch.setattr(level, "separate_many", _separator(items, ran))
    points = level_sweep(Path("x.tflite"), "litert-ref", items, [6, 12], RATE)
    assert [point.n for point in points] == [16, 16] and ran == [48]
    assert all(point.interval.high - point.interval.low <= WIDTH_DB for point in points)
    monkeypatch.setattr(level, "separate_many", _separator(items, ran, wavering=3))
    points = level_sweep(Path("x.tflite"), "litert-ref", items, [6, 12], RATE)
    assert [point.n for point in points] == [20, 20] and ran == [48, 48, 12]
    assert all(point.interval.high - point.interval.low > WIDTH_DB for point in points)


def _separator(items: list[Item], ran: list[int], wavering: float = 0) -> Any:
    """Sources with noise 20 dB below them, ``wavering`` dB more or less of it and one code besides, which hurts the soft."""

    def separate_many(path: Path, runtime: str, clips: Sequence[Pcm], *_: Any, **__: Any) -> Iterator[Pcm]:
        ran.append(len(clips))
        for number, clip in enumerate(clips):
            item = max(items, key=lambda item: _likeness(clip, item.mixture))
            gain = np.abs(clip).max() / np.abs(item.mixture).max()
            snr = 20 + wavering * (-1) ** number * (number % 3)
            yield np.rint(noisy(item.sources, snr, int(item.id[1:])) * gain * 32768 + 1).astype(np.int16)

    return separate_many


def _likeness(first: Pcm, second: Pcm) -> float:
    """Their correlation; 0 where they differ in length."""
    return float(np.corrcoef(first, second)[0, 1]) if first.shape == second.shape else 0.0
