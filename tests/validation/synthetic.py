"""Synthetic evaluation sets and stage outputs of known quality."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from validation.evaluation_set import Item

RATE = 8000


def speechlike(rng: np.random.Generator, samples: int = RATE, peak: int = 9000) -> np.ndarray:
    """Noise with a syllable-like envelope, int16 [T]."""
    time = np.arange(samples) / RATE
    envelope = 0.3 + np.abs(np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 3)))
    noise = np.convolve(rng.standard_normal(samples), np.ones(4) / 4, "same") * envelope
    return np.rint(noise / np.abs(noise).max() * peak).astype(np.int16)


def make_item(seed: int, name: str = "x", subset: str = "seen", samples: int = RATE, snr_db: float | None = None) -> Item:
    rng = np.random.default_rng(seed)
    first, second = speechlike(rng, samples), speechlike(rng, samples, int(rng.integers(4000, 12000)))
    if snr_db is not None:
        second = np.rint(second * np.sqrt(np.sum(first**2.0) / np.sum(second**2.0)) * 10 ** (-snr_db / 20) * 0.3).astype(np.int16)
        first = np.rint(first * 0.3).astype(np.int16)
    return Item(name, subset, snr_db, first + second, np.stack([first, second]))


def noisy(sources: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    """float64 [S, T], 1.0 = full scale: each source plus white noise ``snr_db`` below it."""
    rng = np.random.default_rng(seed)
    clean = sources / 32768.0
    noise = rng.standard_normal(clean.shape)
    noise *= np.sqrt(np.sum(clean**2, axis=1) / np.sum(noise**2, axis=1) * 10 ** (-snr_db / 10))[:, None]
    return clean + noise


def write_set(folder: Path, items: list[Item], name: str = "test", synthetic: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for item in items:
        paths = [f"{item.id}-{part}.wav" for part in ("mix", *range(len(item.sources)))]
        for path, pcm in zip(paths, [item.mixture, *item.sources], strict=True):
            soundfile.write(folder / path, pcm, RATE, subtype="PCM_16")
        entries.append(
            {"id": item.id, "subset": item.subset, "snr_db": item.snr_db, "mixture": paths[0], "sources": paths[1:],
             "speakers": ["a", "b"], "samples": len(item.mixture)}
        )  # fmt: skip
    manifest = {"name": name, "sample_rate": RATE, "synthetic": synthetic, "licence": "none", "description": "made up", "items": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
