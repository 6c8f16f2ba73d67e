"""Evaluation sets of music: the same four folders as of speech, each mixture exactly the sum of its four stereo stems.

``test``: places of the test tracks. ``sweep``: such places with the vocals at -15, -5 and 5 dB against the rest (FQSS paper).
``dev`` and ``calibration``: of the tracks that watch the training, and of those that are trained on. ``tracks``: whole test tracks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES
from pipeline.data.evaluation_set import SetOptions
from pipeline.data.mixing import PEAK_LIMIT, Waveform
from pipeline.data.music import Music, Track, read_stems, track_samples
from pipeline.data.set_folder import Mixture, write_set
from pipeline.data.split import Split

SWEEP_DB = (-15.0, -5.0, 5.0)
VOCALS = MUSIC_SOURCES.index("vocals")
SOFTEST = 10 ** (-50 / 20)  # RMS of a stem, of full scale: what is softer is silence, for which no SDR is defined
ATTEMPTS = 50  # places of a track that are tried for a mixture
LONGEST_SECONDS = 10.0
TRACKS_SECONDS = 300.0  # of whole tracks; a judge holds them in memory at once


def write_music_sets(music: Music, out: Path, options: SetOptions) -> dict[str, int]:
    """Write ``test``, ``sweep``, ``dev``, ``calibration`` and ``tracks`` below ``out``, each whole or not at all.

    Sizes of the first four are those of :func:`pipeline.data.evaluation_set.write_evaluation_sets`.

    Returns:
        The number of mixtures of each set.

    Raises:
        UserError: a bad track, or tracks where the four stems hardly ever sound together.
    """
    parts = {
        "test": (Split.TEST_UNSEEN, options.mixtures, ()),
        "sweep": (Split.TEST_UNSEEN, math.ceil(options.mixtures / len(SWEEP_DB)), SWEEP_DB),
        "dev": (Split.DEV, math.ceil(options.mixtures / 2), ()),
        "calibration": (Split.TRAIN, options.calibration, ()),
    }
    written = {}
    for name, (split, count, levels) in parts.items():
        random = np.random.default_rng([options.seed, *name.encode()])
        found = list(_mixtures(str(split), music.tracks[split], count, levels, options, random))
        mixtures = sorted(found, key=lambda mixture: mixture.snr_db or 0.0)  # stable: an even choice takes all levels alike
        written[name] = write_set(out / name, music, options.sample_rate, mixtures, MUSIC_SOURCES)
    written["tracks"] = write_set(
        out / "tracks", music, options.sample_rate, list(_whole_tracks(music, options.sample_rate)), MUSIC_SOURCES
    )
    return written


def _mixtures(
    subset: str, tracks: Sequence[Track], count: int, levels: Sequence[float], options: SetOptions, random: np.random.Generator
) -> Iterator[Mixture]:
    """``count`` places, evenly over the tracks; each once at every level of the vocals, or as it is where there is none."""
    samples = options.max_samples or round(LONGEST_SECONDS * options.sample_rate)
    for number in range(count):
        name, folder = tracks[number % len(tracks)]
        stems = _place(folder, samples, options.sample_rate, random)
        for level in levels or (None,):
            pcm = _pcm(stems if level is None else _with_vocals_at(stems, level))
            yield Mixture(subset, list(pcm), [], None, level, name)


def _whole_tracks(music: Music, sample_rate: int) -> Iterator[Mixture]:
    """Whole test tracks in which every stem sounds: the first one, and more while they last TRACKS_SECONDS together."""
    taken = 0
    for name, folder in music.tracks[Split.TEST_UNSEEN]:
        samples = track_samples(folder, sample_rate)
        if taken and taken + samples > TRACKS_SECONDS * sample_rate:
            return
        pcm = _pcm(read_stems(folder, 0, samples))
        if pcm.any(axis=(1, 2)).all():
            taken += samples
            yield Mixture(str(Split.TEST_UNSEEN), list(pcm), [], None, None, name)


def _place(folder: Path, samples: int, sample_rate: int, random: np.random.Generator) -> Waveform:
    """A random place of a track where every stem sounds: [S, 2, samples]."""
    last = max(1, track_samples(folder, sample_rate) - samples + 1)
    for _ in range(ATTEMPTS):
        stems = read_stems(folder, int(random.integers(last)), samples)
        if np.sqrt(np.square(stems, dtype=np.float64).mean(axis=(1, 2))).min() > SOFTEST:
            return stems
    raise UserError(f"{folder}: in {ATTEMPTS} places of {samples / sample_rate:g} s one of the stems was silent; remove the track")


def _with_vocals_at(stems: Waveform, snr_db: float) -> Waveform:
    """The vocals, or all else, lowered so that the vocals are ``snr_db`` above the rest."""
    rest = np.delete(stems, VOCALS, axis=0).sum(axis=0)
    energies = [float(np.square(part, dtype=np.float64).sum()) for part in (stems[VOCALS], rest)]
    excess = 10 * math.log10(energies[0] / energies[1]) - snr_db
    gains = np.full((len(stems), 1, 1), 10 ** (min(0.0, excess) / 20), np.float32)
    gains[VOCALS] = 10 ** (min(0.0, -excess) / 20)
    return stems * gains


def _pcm(stems: Waveform) -> NDArray[np.int16]:
    """int16 stems, all lowered alike where their sum would pass 0.9 of full scale."""
    peak = max(float(np.abs(stems.sum(axis=0)).max()), float(np.abs(stems).max()))
    return np.rint(stems.astype(np.float64) * min(1.0, PEAK_LIMIT / peak) * 32768).astype(np.int16)
