"""Mixtures of a published LibriMix part, as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export_specs.foundation.errors import UserError
from pipeline.data.audio_files import audio_files
from pipeline.data.librimix import speakers_of
from pipeline.data.mixing import load_utterance
from pipeline.data.set_folder import Mixture

TOLERANCE = 2  # codes: mixture and sources were rounded to 16 bit apart


def published_folders(task: str) -> tuple[str, str]:
    """Folders of a part: of the mixtures, and of what is in them beside ``s1``."""
    return ("mix_clean", "s2") if task == "separation" else ("mix_single", "noise")


def published_mixtures(
    part: Path, subset: str, task: str, sample_rate: int, count: int, max_samples: int | None, random: np.random.Generator
) -> list[Mixture]:
    """``count`` random mixtures of a part (all, if it has fewer), in the order of their names.

    The mixture and the first source are the published files, cut to ``max_samples``. The second part (source 2, or the noise)
    is what remains, so that the sum is exact; from the published file it differs by at most 2 codes, by roundings.

    Args:
        part: folder with ``s1``, ``s2`` and ``mix_clean`` (separation), or ``s1``, ``noise`` and ``mix_single`` (enhancement).

    Raises:
        UserError: a file is missing or bad, or a mixture is not the sum of its parts.
    """
    mix, second = published_folders(task)
    files = audio_files(part / mix)
    if not files:
        raise UserError(f"{part} holds no audio in {mix}, which {task} needs")
    mixtures: list[Mixture] = []
    for index in random.permutation(len(files)):
        if len(mixtures) == count:
            break
        name = files[index].name
        mixture, first, rest = (_codes(part / folder / name, sample_rate, max_samples) for folder in (mix, "s1", second))
        if not len(mixture) == len(first) == len(rest):
            lengths = f"{len(mixture)} samples long, its parts {len(first)} and {len(rest)}"
            raise UserError(f"{part / mix / name} is {lengths}; is it of the mode min?")
        remainder = mixture - first
        off = int(np.abs(remainder - rest).max())
        if off > TOLERANCE:
            raise UserError(f"{part / mix / name} is not the sum of s1 and {second}: off by up to {off} codes")
        if first.min() < first.max() and remainder.min() < remainder.max():
            speakers, pcm = speakers_of(files[index]), remainder.astype(np.int16)
            mixtures.append(
                Mixture(subset, [first.astype(np.int16), pcm], list(speakers), None, None, name)
                if task == "separation"
                else Mixture(subset, [first.astype(np.int16)], [speakers[0]], pcm, None, name)
            )
    return sorted(mixtures, key=lambda mixture: mixture.origin)


def _codes(path: Path, sample_rate: int, max_samples: int | None) -> NDArray[np.int32]:
    if not path.is_file():
        raise UserError(f"{path} is missing")
    waveform = load_utterance(path, sample_rate)[:max_samples]
    return np.clip(np.rint(waveform.astype(np.float64) * 32768), -32768, 32767).astype(np.int32)
