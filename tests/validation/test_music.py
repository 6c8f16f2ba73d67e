"""Stereo mixtures of named sources: read, matched without a permutation, and scored."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from export_specs.schema import MUSIC_SOURCES
from pipeline.data.evaluation_set import SetOptions
from pipeline.data.music_sets import write_music_sets
from pipeline.data.sources import open_music
from tests.tiny import write_tracks
from tests.validation.gates.judging import judge
from validation.evaluation_set import EvaluationSet, read_evaluation_set
from validation.gates.mean_loss import MeanLoss
from validation.gates.music_sdr import MusicSdr
from validation.ladder import judge_stage, score_item, summarise
from validation.layers import first_segments
from validation.loss_limits import Losses
from validation.metrics import sdr_of_windows
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
    assert [clip.shape for clip in first_segments(data.items, 2, 5000, 44100)] == [(2, 5000)] * 2


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


def museval_metrics() -> ModuleType:
    """The package's module of metrics, by its file: the package itself imports ffmpeg's and pandas' wrappers."""
    package = importlib.util.find_spec("museval")
    if package is None or package.origin is None:
        pytest.skip("the test requirements are not installed")
    spec = importlib.util.spec_from_file_location("museval_metrics", Path(package.origin).with_name("metrics.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("silent", [None, 1, 2])
def test_the_sdr_of_windows_is_museval_s(silent: int | None) -> None:
    """Over three windows and a rest, one of them silent in a source; the errors are filtered, so its decomposition has work to do."""
    rate = 2000
    rng = np.random.default_rng(3)
    sources = rng.normal(size=(3, 2, 3 * rate + 700)) * rng.uniform(0.1, 2, (3, 1, 1))
    if silent is not None:
        sources[1, :, silent * rate : (silent + 1) * rate] = 0
    leaked = 0.3 * np.roll(sources[::-1], 3, axis=-1)
    estimates = sources + leaked + 0.1 * rng.normal(size=sources.shape) * np.linspace(0.1, 3, sources.shape[-1])
    metrics = museval_metrics()
    frames, *_ = metrics.bss_eval(
        sources.swapaxes(1, 2), estimates.swapaxes(1, 2), window=rate, hop=rate, filters_len=32, compute_permutation=False
    )
    assert frames.shape == (3, 3)
    expected = float(np.nanmedian(frames, axis=1).mean())
    assert np.mean(sdr_of_windows(estimates, sources, rate)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("side", ["sources", "estimates"])
def test_a_window_whose_channels_cancel_is_silent_as_museval_has_it(side: str) -> None:
    """museval sums the channels before it looks for silence, so that it leaves out a window of one source in opposite phase."""
    rate = 2000
    rng = np.random.default_rng(6)
    sources = rng.normal(size=(3, 2, 4 * rate))
    estimates = sources + 0.2 * rng.normal(size=sources.shape) * np.linspace(0.2, 3, sources.shape[-1])
    changed = sources if side == "sources" else estimates
    changed[1, 1, rate : 2 * rate] = -changed[1, 0, rate : 2 * rate]
    frames, *_ = museval_metrics().bss_eval(
        sources.swapaxes(1, 2), estimates.swapaxes(1, 2), window=rate, hop=rate, filters_len=32, compute_permutation=False
    )
    assert np.isnan(frames[:, 1]).all() and np.isfinite(frames[:, [0, 2, 3]]).all()
    expected = np.nanmedian(frames, axis=1)
    assert sdr_of_windows(estimates, sources, rate) == pytest.approx(expected.tolist(), abs=1e-6)
    window = slice(rate, 2 * rate)
    pairs = zip(estimates[..., window], sources[..., window], strict=True)
    counted_too = [10 * np.log10(np.square(s).sum() / np.square(e - s).sum()) for e, s in pairs]
    whole = np.median(np.column_stack([frames[:, [0, 2, 3]], counted_too]), axis=1)
    assert not np.allclose(whole, expected, atol=0.01), "the window would have counted"


def test_without_a_window_the_whole_counts() -> None:
    rng = np.random.default_rng(4)
    sources = rng.normal(size=(2, 1500))
    estimates = sources + 0.1 * rng.normal(size=sources.shape)
    expected = [10 * np.log10(np.square(s).sum() / np.square(e - s).sum()) for e, s in zip(estimates, sources, strict=True)]
    assert sdr_of_windows(estimates, sources, 2000) == pytest.approx(expected, abs=1e-9)
    assert sdr_of_windows(np.zeros_like(sources), sources, 500) == pytest.approx([0, 0], abs=1e-9)


def test_music_is_judged_by_its_sdr(data: EvaluationSet) -> None:
    """Estimates half as loud keep their SI-SDR and lose SDR: only the gate on SDR tells."""
    reference, quieter = [], []
    for item in data.items:
        estimates = item.sources / 32768 + 0.001 * np.random.default_rng(0).normal(size=item.sources.shape)
        reference.append(score_item(item, estimates, estimates, 44100))
        quieter.append(score_item(item, estimates / 2, estimates, 44100))
    by_id = {score.id: score for score in reference}
    result, floating = (judge_stage("s", scores, by_id, set_name="t") for scores in (quieter, reference))
    assert judge(MeanLoss, Losses.of(result, floating, "source_si_sdr")).state == "passed"
    lost = Losses.of(result, floating, "source_sdr")
    assert lost is not None and judge(MusicSdr, lost).state == "failed"
    assert np.mean(lost.loss) == pytest.approx(np.mean([r.sdr - q.sdr for r, q in zip(reference, quieter, strict=True)]))


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
