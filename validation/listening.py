"""audio/: mixtures with their clean sources, float and int8 results and the difference of these two, to listen to."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile

from export_specs.foundation.atomic import write_bytes
from validation.bootstrap import paired_differences
from validation.evaluation_set import Item
from validation.ladder import ItemScore
from validation.parity import Clip
from validation.stages import Estimates

Rank = Literal["worst", "median", "sample"]


def choose_items(reference: Mapping[str, ItemScore], scores: Sequence[ItemScore], each: int = 3, samples: int = 0) -> dict[str, Rank]:
    """Ids of the ``each`` worst items (largest loss), of the ``each`` around the median, and of the first ``samples`` others."""
    losses = paired_differences([s.si_sdr for s in scores], [reference[s.id].si_sdr for s in scores])
    ranked = [scores[index].id for index in np.argsort(-losses, kind="stable")]
    chosen: dict[str, Rank] = dict.fromkeys(ranked[:each], "worst")
    start = max(0, len(ranked) // 2 - each // 2)
    for name in ranked[start : start + each]:
        chosen.setdefault(name, "median")
    left = [score.id for score in scores if score.id not in chosen]
    return {**chosen, **dict.fromkeys(left[:samples], "sample")}


def write_item(
    folder: Path, item: Item, rank: Rank, reference: Estimates, result: Estimates, scores: tuple[ItemScore, ItemScore], sample_rate: int
) -> list[Clip]:
    """Write one mixture's FLACs (16 bits) into ``folder``; estimates are [S, T], 1.0 = full scale; ``scores`` are of float and result.

    ``difference`` is result − float at its true level, so it may be too soft to hear: that is the point.
    """
    before, after = (estimates[list(score.order)] for estimates, score in zip((reference, result), scores, strict=True))
    parts: list[tuple[str, int | None, npt.NDArray[np.float64]]] = [("mixture", None, item.mixture / 32768.0)]
    for number in range(len(before)):
        parts.append(("clean", number, item.sources[number] / 32768.0))
        parts.append(("float", number, before[number]))
        parts.append(("result", number, after[number]))
        parts.append(("difference", number, after[number] - before[number]))
    stem = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in item.id)
    loss = float(paired_differences([scores[1].si_sdr], [scores[0].si_sdr])[0])
    clips = []
    for kind, source, waveform in parts:
        name = f"{stem}-{kind}{'' if source is None else f'-{source + 1}'}.flac"
        content = io.BytesIO()
        codes = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
        soundfile.write(content, codes.T, sample_rate, format="FLAC", subtype="PCM_16")
        write_bytes(folder / name, content.getvalue())
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        clips.append(Clip(item=item.id, rank=rank, kind=kind, source=source, path=f"{folder.name}/{name}", sha256=digest, loss_db=loss))
    return clips
