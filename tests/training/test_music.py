"""A tiny stereo network is trained in float and quantized with training, on tracks in the layout of MUSDB18-HQ."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from export_specs.foundation.errors import UserError
from pipeline.data.examples import training_examples
from pipeline.data.sources import training_files
from pipeline.quantization.recipe import Recipe
from pipeline.training import loop, qat, teacher
from pipeline.training.qat import load_quantized, train_quantized
from tests.tiny import mixtures, tiny_music_spec, tiny_spec, write_tracks
from tests.training.runs import Files, float_weights


@pytest.fixture
def tracks(tmp_path: Path) -> Files:
    write_tracks(tmp_path / "tree", ["train/a", "train/b", "train/c", "test/d"], seconds=0.1)
    return training_files(f"musdb18hq:{tmp_path / 'tree'}", 44100, "music")[0]


def test_float_training(tracks: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "VALIDATION_MIXTURES", 4)
    path = teacher.train_teacher(tiny_music_spec(), tracks, tracks, tmp_path / "run", workers=0)
    assert path.is_file()
    with (tmp_path / "run" / "curve.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert all(float(row["val_sdr"]) < 20 and 0 < float(row["val_loss"]) < 1 for row in rows)


@pytest.mark.parametrize("variant", ["fqss", "vanilla"])
def test_quantization_aware_training(variant: str, tracks: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The level is left alone: L1 fixes it."""
    monkeypatch.setattr(qat, "OBSERVED_BATCHES", 9)
    monkeypatch.setattr(qat, "VALIDATION_MIXTURES", 4)
    monkeypatch.setattr(qat, "output_level", lambda *_: pytest.fail("the level was changed"))
    spec, recipe = tiny_music_spec(), Recipe(variant, "scalar-gain")  # type: ignore[arg-type]
    path = train_quantized(spec, recipe, spec.profiles["quick"], float_weights(spec, tmp_path), tracks, tracks, tmp_path)
    with torch.no_grad():
        assert load_quantized(spec, recipe, path)(mixtures(spec, 2)).shape == (2, 4, 2, spec.segment_samples)


def test_gradients_are_not_clipped_where_the_spec_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny_music_spec()
    called: list[float] = []
    monkeypatch.setattr(loop.nn.utils, "clip_grad_norm_", lambda _, limit: called.append(limit))
    for limit in (0.0, 5.0):
        training = spec.training.model_copy(update={"gradient_clip": limit})
        loop.SeparationTask(torch.nn.Linear(1, 1), training, False).configure_gradient_clipping()
    assert called == [5.0]


def test_a_task_needs_a_network_of_its_channels(tracks: Files) -> None:
    spec = tiny_spec().model_copy(update={"task": "music", "n_src": 4})
    with pytest.raises(UserError, match=r"examples of music have 2 channel\(s\), the network takes 1"):
        training_examples(spec, tracks, 800, 1, 0, False)
