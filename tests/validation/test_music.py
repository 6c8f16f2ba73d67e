"""Stereo mixtures of named sources: read, matched without a permutation, and scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export_specs.schema import MUSIC_SOURCES
from pipeline.data.evaluation_set import SetOptions
from pipeline.data.music_sets import write_music_sets
from pipeline.data.sources import open_music
from tests.tiny import write_tracks
from validation.evaluation_set import EvaluationSet, read_evaluation_set
from validation.ladder import score_item, summarise
from validation.layers import first_segments
from validation.theory import estimate_points


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EvaluationSet:
    folder = tmp_path_factory.mktemp("music")
    write_tracks(folder / "tree", ["train/a", "train/b", "test/c"])
    options = SetOptions(44100, 2, task="music", calibration=1, max_seconds=0.1)
    write_music_sets(open_music(f"musdb18hq:{folder / 'tree'}"), folder / "sets", options)
    return read_evaluation_set(folder / "sets" / "test")


def test_items_are_stereo_and_named(data: EvaluationSet) -> None:
    item = data.items[0]
    assert (item.mixture.shape, item.sources.shape) == ((2, 4410), (4, 2, 4410))
    assert item.named
    assert tuple(data.manifest.source_names) == MUSIC_SOURCES
    assert data.seconds == pytest.approx(0.2)
    assert [clip.shape for clip in first_segments(data.items, 2, 5000)] == [(2, 5000)] * 2


def test_estimates_in_another_order_are_wrong(data: EvaluationSet) -> None:
    item = data.items[0]
    sources = item.sources / 32768
    noise = np.random.default_rng(0).normal(size=sources.shape)
    noise *= np.sqrt(np.square(sources).sum((1, 2)) / np.square(noise).sum((1, 2)))[:, None, None]
    estimates = sources + 0.1 * noise
    good, bad = (score_item(item, found, estimates, 44100) for found in (estimates, estimates[::-1]))
    assert good.order == bad.order == (0, 1, 2, 3)
    assert good.sdr == pytest.approx(20, abs=0.01)
    assert good.si_sdr == pytest.approx(20, abs=0.1)
    assert bad.si_sdr < 0
    assert good.stoi is None
    summary = summarise([good], {good.id: good})
    assert summary.stoi is None and summary.stoi_delta is None
    assert summary.order_agreement == 1


def test_theory_takes_both_channels_together(data: EvaluationSet) -> None:
    item = data.items[0]
    reference = item.sources / 32768 + 0.001 * np.random.default_rng(0).normal(size=item.sources.shape)
    quantized = reference + 0.001 * np.random.default_rng(1).normal(size=item.sources.shape)
    points = estimate_points(item, reference, quantized)
    assert len(points) == 4
    for point in points:
        assert point.loss == pytest.approx(3.0, abs=0.3)  # twice the noise, uncorrelated
        assert point.correlation < 0.05


def test_a_set_of_other_channels_is_refused(data: EvaluationSet, tmp_path: Path) -> None:
    text = (data.folder / "manifest.json").read_text().replace('"audio_channels": 2', '"audio_channels": 1')
    for path in data.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Exception, match=r"PCM_16, 2 channel\(s\), 44100 Hz, 4410 samples; its manifest means PCM_16, 1 channel, 44100 Hz"):
        read_evaluation_set(tmp_path)
