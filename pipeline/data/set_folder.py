"""The folder of an evaluation set: ``manifest.json`` and 16-bit WAV files, mono or of several channels."""

from __future__ import annotations

import json
import shutil
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_specs.foundation.errors import UserError
from pipeline.data.music import Music
from pipeline.data.speech import Speech

MANIFEST = "manifest.json"
Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class Mixture:
    """Parts of one mixture, int16 [T] or [A, T] each; their sum must not leave 16 bits.

    Attributes:
        subset: what it is counted under in a report. ``sources``: what is to be found; ``speakers``: of the sources, of speech.
        noise: what is to be removed, if anything.
        snr_db: in a sweep only, level of the first part over the second; of music, of the vocals over the rest.
        origin: the file it was taken from, if it was not made here.
    """

    subset: str
    sources: list[Pcm]
    speakers: list[str]
    noise: Pcm | None
    snr_db: float | None
    origin: str = ""


def write_set(folder: Path, data: Speech | Music, sample_rate: int, mixtures: Sequence[Mixture], source_names: Sequence[str] = ()) -> int:
    """Write a set in place of an older one, whole or not at all.

    Args:
        source_names: what the sources are, in order, where they are no speakers.

    Returns:
        The number of mixtures.

    Raises:
        UserError: ``folder`` holds something else; nothing to write.
    """
    if not mixtures:
        raise UserError(f"no mixture could be made for {folder.name}")
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no evaluation set; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    manifest = {
        "name": folder.name,
        "sample_rate": sample_rate,
        "synthetic": data.synthetic,
        "licence": data.licence,
        "description": data.description,
    }
    if source_names:
        manifest["source_names"] = list(source_names)
    if mixtures[0].sources[0].ndim > 1:
        manifest["audio_channels"] = len(mixtures[0].sources[0])
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        fresh = Path(name) / "new"
        fresh.mkdir()
        manifest["items"] = [_write_item(fresh, f"{folder.name}-{k:04d}", mixture, sample_rate) for k, mixture in enumerate(mixtures)]
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        if folder.exists():
            shutil.move(folder, Path(name) / "old")
        fresh.rename(folder)
    return len(mixtures)


def _write_item(folder: Path, identity: str, mixture: Mixture, sample_rate: int) -> dict[str, Any]:
    parts = [*mixture.sources, *([] if mixture.noise is None else [mixture.noise])]
    total = np.stack(parts).astype(np.int64).sum(axis=0)
    if total.min() < -32768 or total.max() > 32767:
        raise UserError(f"the mixture of {mixture.origin or ' and '.join(mixture.speakers)} clips: its sources are too loud for 16 bits")
    item: dict[str, Any] = {"id": identity, "subset": mixture.subset, "snr_db": mixture.snr_db, "mixture": f"{identity}-mix.wav"}
    item["sources"] = [f"{identity}-s{k + 1}.wav" for k in range(len(mixture.sources))]
    item |= {} if mixture.noise is None else {"noise": f"{identity}-noise.wav"}
    item |= {"speakers": mixture.speakers, "samples": total.shape[-1], **({"origin": mixture.origin} if mixture.origin else {})}
    names = [item["mixture"], *item["sources"], *([item["noise"]] if mixture.noise is not None else [])]
    for name, pcm in zip(names, [total.astype(np.int16), *parts], strict=True):
        with wave.open(str(folder / name), "wb") as stream:
            stream.setparams((1 if pcm.ndim == 1 else len(pcm), 2, sample_rate, pcm.shape[-1], "NONE", ""))
            stream.writeframes(pcm.T.astype("<i2").tobytes())
    return item
