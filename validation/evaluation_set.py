"""Evaluation sets: a folder with a manifest.json and int16 WAV files, checked before anything is measured on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError

Pcm = npt.NDArray[np.int16]


class ManifestItem(BaseModel):
    """One mixture. Paths are relative to the manifest; ``noise`` is a part of the mixture that is no source to separate."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    subset: str
    mixture: str
    sources: list[str] = Field(min_length=1)
    noise: str | None = None
    speakers: list[str] = []
    samples: int = Field(gt=0)
    snr_db: float | None = None


class Manifest(BaseModel):
    """What an evaluation set says of itself. Sources that have names ("drums", …) are found at fixed places, not in any order."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    sample_rate: int = Field(gt=0)
    synthetic: bool
    licence: str = ""
    description: str = ""
    source_names: list[str] = []
    audio_channels: int = Field(default=1, gt=0)
    items: list[ManifestItem] = Field(min_length=1)


@dataclass(frozen=True)
class Item:
    """A mixture [T] and its sources [S, T], int16; ``mixture`` is exactly the sum of the sources (and of the noise, if any).

    With A > 1 audio channels they are [A, T] and [S, A, T]. ``named``: estimate m belongs to source m.
    """

    id: str
    subset: str
    snr_db: float | None
    mixture: Pcm
    sources: Pcm
    named: bool = False

    @property
    def samples(self) -> int:
        """T."""
        return int(self.mixture.shape[-1])


@dataclass(frozen=True)
class EvaluationSet:
    """A checked selection of an evaluation set. ``total`` is the number of items before the selection."""

    folder: Path
    manifest: Manifest
    items: tuple[Item, ...]
    total: int
    manifest_sha256: str

    @property
    def seconds(self) -> float:
        """Length of all selected mixtures."""
        return sum(item.samples for item in self.items) / self.manifest.sample_rate


def read_evaluation_set(folder: Path, count: int | None = None) -> EvaluationSet:
    """Read and check an evaluation set.

    Args:
        count: take so many items, evenly spread over the manifest, so that every subset keeps its share; None takes all.

    Raises:
        UserError: no manifest, or a broken one; fewer items than ``count``; a file that is missing or of another format or length; a
            mixture that is not the sum of its parts.
    """
    path = folder / "manifest.json"
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"cannot read the evaluation set {path}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UserError(f"{path} is not a valid manifest: {faults}") from error
    ids = [item.id for item in manifest.items]
    doubled = sorted({name for name in ids if ids.count(name) > 1})
    if doubled:
        raise UserError(f"{path} names these items twice: {', '.join(doubled[:5])}")
    chosen = manifest.items
    if count is not None:
        if count > len(ids):
            raise UserError(f"{path} holds {len(ids)} items, {count} are wanted: lower the number or make a larger set")
        chosen = [manifest.items[index * len(ids) // count] for index in range(count)]
    items = tuple(_read_item(folder, manifest, item) for item in chosen)
    return EvaluationSet(folder, manifest, items, len(ids), sha256(path))


def _read_item(folder: Path, manifest: Manifest, item: ManifestItem) -> Item:
    wanted = (manifest.audio_channels, manifest.sample_rate, item.samples)
    mixture = _read_pcm(folder / item.mixture, wanted)
    sources = np.stack([_read_pcm(folder / name, wanted) for name in item.sources])
    total = sources.sum(axis=0, dtype=np.int64)
    if item.noise is not None:
        total = total + _read_pcm(folder / item.noise, wanted)
    if not np.array_equal(total, mixture):
        raise UserError(
            f"{folder / item.mixture} is not the sum of its parts (off by up to {np.abs(total - mixture).max()} codes): make the set again"
        )
    for name, source in zip(item.sources, sources, strict=True):
        if source.min() == source.max():
            raise UserError(f"{folder / name} is silent: SI-SDR is undefined for it")
    return Item(item.id, item.subset, item.snr_db, mixture, sources, bool(manifest.source_names))


def _read_pcm(path: Path, wanted: tuple[int, int, int]) -> Pcm:
    """PCM of (channels, rate, samples): [T] of one channel, else [A, T]."""
    channels, rate, samples = wanted
    if not path.is_file():
        raise UserError(f"{path} is missing from the evaluation set: make the set again")
    try:
        with soundfile.SoundFile(path) as stream:
            found = (stream.subtype, stream.channels, stream.samplerate, stream.frames)
            if found != ("PCM_16", *wanted):
                raise UserError(
                    f"{path} is {found[0]}, {found[1]} channel(s), {found[2]} Hz, {found[3]} samples; "
                    f"its manifest means PCM_16, {channels} channel{'s' if channels > 1 else ''}, {rate} Hz, {samples} samples"
                )
            pcm: Pcm = stream.read(dtype="int16")
            return np.ascontiguousarray(pcm.T)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} is not audio: {error.error_string}") from error
