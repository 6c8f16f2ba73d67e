"""A test set where it lies: a list of its files, read one mixture at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from edge_runtime.recording import open_recording
from export_specs.foundation.errors import UserError
from validation.evaluation_set import Item, Pcm
from validation.record import Number, Record
from validation.stages import FULL_SCALE

Waveform = npt.NDArray[np.float64]
TOLERANCE = 2  # codes: a published mixture and its sources were rounded to 16 bits apart
PEAK = 0.9  # of full scale: what is mixed here stays below it


class WholeItem(Record):
    """One mixture, by the paths of its files.

    ``mixture`` is the published one; without it the sources (and the noise) are added, the first brought to ``snr_db`` above the second
    where that is given. ``subset``: what it is counted under.
    """

    id: str
    subset: str
    sources: list[str] = Field(min_length=1)
    mixture: str | None = None
    noise: str | None = None
    snr_db: Number | None = None


class WholeSet(Record):
    """A test set. Sources that have names ("drums", …) are of music, in ``audio_channels`` channels."""

    name: str
    sample_rate: int = Field(gt=0)
    description: str
    synthetic: bool
    source_names: list[str] = Field(default=[])
    audio_channels: int = Field(default=1, gt=0)
    items: list[WholeItem] = Field(min_length=1)


class UnfitError(Exception):
    """A mixture that cannot be scored, and why: it is left out and counted."""


def read_item(whole: WholeSet, item: WholeItem) -> Item:
    """The mixture [T] or [A, T] and its sources [S, T] or [S, A, T] as int16.

    Of speech, parts are cut to the shortest, and the last part is what the mixture leaves of the others, so that the sum is exact; from
    the published file it differs by 2 codes at most. Music keeps its published mixture, which is no exact sum.

    Raises:
        UserError: a file is missing, no audio, or of another length.
        UnfitError: a source is silent, or the published mixture is not the sum of its parts.
    """
    channels = whole.audio_channels if whole.audio_channels > 1 else None
    paths = [*item.sources, *([] if item.noise is None else [item.noise])]
    parts = [_waveform(Path(path), whole.sample_rate, channels) for path in paths]
    if whole.source_names:
        mixture, sources = _of_music(item, parts, whole.sample_rate, channels)
    elif item.mixture is None:
        mixture, sources = _mixed(parts, item.snr_db)
    else:
        mixture, sources = _published(
            _codes(_waveform(Path(item.mixture), whole.sample_rate, channels)), [_codes(p) for p in parts], item.id
        )
    sources = sources[: len(item.sources)]
    if any(source.min() == source.max() for source in sources):
        raise UnfitError("a source is silent")
    return Item(item.id, item.subset, item.snr_db, mixture, sources, bool(whole.source_names))


def _waveform(path: Path, sample_rate: int, channels: int | None) -> Waveform:
    if not path.is_file():
        raise UserError(f"{path} is missing from the test set")
    with open_recording(path, sample_rate, audio_channels=channels) as recording:
        return np.ldexp(recording.pcm.astype(np.float64), -15 - recording.exponent)


def _codes(waveform: Waveform) -> npt.NDArray[np.int32]:
    return np.clip(np.rint(waveform * FULL_SCALE), -32768, 32767).astype(np.int32)


def _published(mixture: npt.NDArray[np.int32], parts: list[npt.NDArray[np.int32]], name: str) -> tuple[Pcm, Pcm]:
    lengths = {len(mixture), *map(len, parts)}
    if len(lengths) > 1:
        raise UserError(f"the files of {name} have {', '.join(map(str, sorted(lengths)))} samples; is it of the mode min?")
    last = mixture - sum(parts[:-1], np.zeros_like(mixture))
    off = int(np.abs(last - parts[-1]).max())
    if off > TOLERANCE:
        raise UnfitError(f"the mixture is not the sum of its parts: off by up to {off} codes")
    return mixture.astype(np.int16), np.stack([*parts[:-1], last]).astype(np.int16)


def _mixed(parts: list[Waveform], snr_db: float | None) -> tuple[Pcm, Pcm]:
    """Algorithm 1 of the FQSS paper: the louder part lowered to the wanted ratio of powers, both alike where the sum is too loud."""
    samples = min(map(len, parts))
    cut = np.stack([part[:samples] for part in parts])  # [P, T]
    powers = np.square(cut).mean(axis=1)
    if not powers.all():
        raise UnfitError("a source is silent")
    if snr_db is not None:
        excess = 10 * np.log10(powers[0] / powers[1]) - snr_db
        cut[:2] *= 10 ** (np.minimum(0.0, [-excess, excess])[:, None] / 20)
    cut *= min(1.0, PEAK / np.abs(cut.sum(axis=0)).max())
    sources = np.rint(cut * FULL_SCALE).astype(np.int16)
    return sources.sum(axis=0, dtype=np.int16), sources


def _of_music(item: WholeItem, stems: list[Waveform], sample_rate: int, channels: int | None) -> tuple[Pcm, Pcm]:
    lengths = {stem.shape[-1] for stem in stems}
    if len(lengths) > 1:
        raise UserError(f"the stems of {item.id} have {', '.join(map(str, sorted(lengths)))} samples; they must be of one length")
    if item.mixture is not None:
        mixture = _codes(_waveform(Path(item.mixture), sample_rate, channels))
        if mixture.shape[-1] not in lengths:
            raise UserError(f"{item.mixture} and its stems are of different lengths")
        return mixture.astype(np.int16), np.stack([_codes(stem).astype(np.int16) for stem in stems])
    peak = np.abs(sum(stems[1:], stems[0])).max()
    gain = min(1.0, PEAK / peak) if peak else 1.0
    sources = np.stack([np.rint(stem * gain * FULL_SCALE).clip(-32768, 32767).astype(np.int16) for stem in stems])
    return sources.sum(axis=0, dtype=np.int32).astype(np.int16), sources
