"""Mixtures of a published LibriMix part, as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export_specs.foundation.errors import UserError
from pipeline.data.audio_files import audio_files
from pipeline.data.librimix import speakers_of
from pipeline.data.mixing import load_utterance
from pipeline.data.set_folder import Mixture

TOLERANCE = 2  # codes: mixture and parts were rounded to 16 bit apart


@dataclass(frozen=True)
class Layout:
    """Folders of a part: of the mixtures, of the sources in them, and of what is in them besides."""

    mixture: str
    sources: tuple[str, ...]
    noise: str | None

    @property
    def parts(self) -> tuple[str, ...]:
        """What the mixture is the sum of."""
        return (*self.sources, self.noise) if self.noise else self.sources


def published_layout(task: str, noisy: bool) -> Layout:
    """Which of LibriMix's mixtures a task takes: ``mix_clean``, with ``noisy`` ``mix_both``, of enhancement ``mix_single``."""
    if task == "enhancement":
        return Layout("mix_single", ("s1",), "noise")
    return Layout("mix_both", ("s1", "s2"), "noise") if noisy else Layout("mix_clean", ("s1", "s2"), None)


def published_mixtures(
    part: Path, subset: str, layout: Layout, sample_rate: int, count: int, max_samples: int | None, random: np.random.Generator
) -> list[Mixture]:
    """``count`` random mixtures of a part (all, if it has fewer), in the order of their names.

    The mixture and all parts but the last are the published files, cut to ``max_samples``. The last part (source 2, or the noise)
    is what remains, so that the sum is exact; from the published file it differs by at most 2 codes, by roundings.

    Args:
        part: folder with the folders of ``layout``.

    Raises:
        UserError: a file is missing or bad, or a mixture is not the sum of its parts.
    """
    files = published_files(part, layout)
    mixtures: list[Mixture] = []
    for index in random.permutation(len(files)):
        if len(mixtures) == count:
            break
        name = files[index].name
        mixture, *parts = (_codes(part / folder / name, sample_rate, max_samples) for folder in (layout.mixture, *layout.parts))
        if {len(codes) for codes in parts} != {len(mixture)}:
            lengths = f"{len(mixture)} samples long, its parts {' and '.join(str(len(codes)) for codes in parts)}"
            raise UserError(f"{part / layout.mixture / name} is {lengths}; is it of the mode min?")
        remainder = mixture - np.sum(parts[:-1], axis=0)
        off = int(np.abs(remainder - parts[-1]).max())
        if off > TOLERANCE:
            raise UserError(f"{part / layout.mixture / name} is not the sum of {' and '.join(layout.parts)}: off by up to {off} codes")
        exact = [codes.astype(np.int16) for codes in (*parts[:-1], remainder)]
        if all(codes.min() < codes.max() for codes in exact):
            count_of = len(layout.sources)
            speakers = list(speakers_of(files[index])[:count_of])
            mixtures.append(Mixture(subset, exact[:count_of], speakers, exact[-1] if layout.noise else None, None, name))
    return sorted(mixtures, key=lambda mixture: mixture.origin)


def published_files(part: Path, layout: Layout) -> list[Path]:
    """The mixtures of a part.

    Raises:
        UserError: it has none, or no folder of what is in them.
    """
    files = audio_files(part / layout.mixture)
    if not files:
        raise UserError(f"{part} holds no audio in {layout.mixture}; these mixtures of LibriMix are needed")
    missing = [folder for folder in layout.parts if not (part / folder).is_dir()]
    if missing:
        raise UserError(f"{part} holds {layout.mixture} but not {' and '.join(missing)}, of which it is the sum")
    return files


def _codes(path: Path, sample_rate: int, max_samples: int | None) -> NDArray[np.int32]:
    if not path.is_file():
        raise UserError(f"{path} is missing")
    waveform = load_utterance(path, sample_rate)[:max_samples]
    return np.clip(np.rint(waveform.astype(np.float64) * 32768), -32768, 32767).astype(np.int32)
