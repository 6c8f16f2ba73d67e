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
from validation.level import level_sweep
from validation.permutation import matched


def test_known_scores_of_the_full_level_give_the_same_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A separator that adds noise 20 dB below what it gets, and one code besides, which hurts the soft."""
    items = [make_item(seed, f"m{seed}") for seed in range(3)]
    ran: list[int] = []

    def separate_many(path: Path, runtime: str, clips: Sequence[Pcm], *_: Any, **__: Any) -> Iterator[Pcm]:
        ran.append(len(clips))
        for number, clip in enumerate(clips):
            item = items[number % len(items)]
            gain = np.abs(clip).max() / np.abs(item.mixture).max()
            yield np.rint(noisy(item.sources, 20, number % len(items)) * gain * 32768 + 1).astype(np.int16)

    monkeypatch.setattr(level, "separate_many", separate_many)
    arguments = (Path("x.tflite"), "litert-ref", items, [6, 40], RATE)
    loud = [
        float(np.mean(matched(estimates, item)[1]))
        for estimates, item in zip(separate_many(*arguments[:2], [i.mixture for i in items]), items, strict=True)
    ]
    whole, short = level_sweep(*arguments), level_sweep(*arguments, full=loud)
    assert whole == short and ran == [3, 9, 6]
    assert whole[0].change > whole[1].change and whole[1].change < -0.01
