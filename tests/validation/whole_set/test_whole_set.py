"""Reading of a test set, the scores of its mixtures, and a run that was interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_runtime.runtime import open_runtime
from edge_runtime.segments import separate
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import write_tflite_network
from tests.validation.synthetic import speechlike
from validation.ladder import score_item
from validation.whole_set import run
from validation.whole_set.files import UnfitError, WholeItem, WholeSet, read_item
from validation.whole_set.run import WholeStage, evaluate
from validation.whole_set.table import markdown, summarised

RATE = 8000


def write(path: Path, pcm: np.ndarray) -> str:
    soundfile.write(path, pcm.astype(np.int16), RATE, subtype="PCM_16")
    return str(path)


def make_set(folder: Path, count: int = 3, off: int = 1) -> WholeSet:
    """Published mixtures that are off by a code here and there, and each pair once more at 5 dB."""
    items = []
    for number in range(count):
        random = np.random.default_rng(number)
        sources = [speechlike(random, RATE + 40 * number), speechlike(random, RATE + 40 * number, 3000)]
        mixture = sources[0] + sources[1] + random.integers(0, 2, len(sources[0])) * off
        paths = [write(folder / f"{number}-{part}.wav", pcm) for part, pcm in zip("abm", (*sources, mixture), strict=True)]
        items += [
            WholeItem(id=str(number), subset="as published", sources=paths[:2], mixture=paths[2]),
            WholeItem(id=f"{number} at 5 dB", subset="pairs at 5 dB", sources=paths[:2], snr_db=5),
        ]
    return WholeSet(name="t", sample_rate=RATE, description="made up", synthetic=True, items=items)


def test_a_published_mixture_is_the_sum_of_what_is_scored(tmp_path: Path) -> None:
    whole = make_set(tmp_path)
    item = read_item(whole, whole.items[0])
    np.testing.assert_array_equal(item.mixture, soundfile.read(tmp_path / "0-m.wav", dtype="int16")[0])
    np.testing.assert_array_equal(item.sources[0], soundfile.read(tmp_path / "0-a.wav", dtype="int16")[0])
    np.testing.assert_array_equal(item.sources.sum(axis=0, dtype=np.int64), item.mixture)
    assert np.abs(item.sources[1] - soundfile.read(tmp_path / "0-b.wav", dtype="int16")[0]).max() == 1


@pytest.mark.parametrize("level", [-10.0, 0.0, 20.0])
def test_pairs_are_brought_to_the_level(level: float, tmp_path: Path) -> None:
    whole = make_set(tmp_path, 1)
    item = read_item(whole, whole.items[1].model_copy(update={"snr_db": level}))
    powers = np.square(item.sources, dtype=np.float64).mean(axis=1)
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(level, abs=0.01)
    np.testing.assert_array_equal(item.sources.sum(axis=0, dtype=np.int64), item.mixture)
    kept = 0 if level == 20 else 1  # the first is 10 dB above the second, and nothing is made louder
    np.testing.assert_array_equal(item.sources[kept], soundfile.read(tmp_path / f"0-{'ab'[kept]}.wav", dtype="int16")[0])


def test_what_is_too_loud_together_is_lowered_alike(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.wav", speechlike(np.random.default_rng(seed), RATE, 32000)) for seed, name in enumerate("ab")]
    whole = WholeSet(
        name="t", sample_rate=RATE, description="", synthetic=True, items=[WholeItem(id="x", subset="p", sources=paths, snr_db=0)]
    )
    item = read_item(whole, whole.items[0])
    assert np.abs(item.mixture.astype(int)).max() == pytest.approx(0.9 * 32768, abs=2)
    powers = np.square(item.sources, dtype=np.float64).mean(axis=1)
    assert powers[0] == pytest.approx(powers[1], rel=1e-3)


def test_what_cannot_be_scored_is_left_out_and_what_is_missing_an_error(tmp_path: Path) -> None:
    whole = make_set(tmp_path, 1, off=3)
    with pytest.raises(UnfitError, match="not the sum of its parts: off by up to 3 codes"):
        read_item(whole, whole.items[0])
    write(tmp_path / "0-b.wav", np.zeros(RATE))
    with pytest.raises(UnfitError, match="a source is silent"):
        read_item(whole, whole.items[1])
    (tmp_path / "0-a.wav").unlink()
    with pytest.raises(UserError, match=r"0-a\.wav is missing"):
        read_item(whole, whole.items[1])


def stages(folder: Path) -> list[WholeStage]:
    file = write_tflite_network(folder / "net.tflite")
    return [WholeStage("one", file, "litert-ref"), WholeStage("two", file, "litert-xnnpack")]


def test_scores_are_those_of_the_ladder_and_do_not_depend_on_the_processes(tmp_path: Path) -> None:
    whole, both = make_set(tmp_path), stages(tmp_path)
    found = evaluate(whole, both, tmp_path / "alone.jsonl", workers=1)
    item = read_item(whole, whole.items[3])
    heard = [separate(open_runtime(stage.path, stage.runtime, sample_rate=RATE), item.mixture) / 32768 for stage in both]
    assert [found[3].scores[stage.name].score for stage in both] == [score_item(item, ours, heard[0], RATE) for ours in heard]
    assert found == evaluate(whole, both, tmp_path / "together.jsonl", workers=2)
    result = summarised(whole, both, found)
    assert [(part.stage, part.subset, part.summary.n) for part in result.parts] == [
        (name, subset, n) for subset, n in (("", 6), ("as published", 3), ("pairs at 5 dB", 3)) for name in ("one", "two")
    ]
    mean = np.mean([entry.scores["two"].score.si_sdr for entry in found[::2]])
    assert result.parts[3].summary.si_sdr == pytest.approx(float(mean))
    assert f"| as published | 3 | `two` | {mean:.2f} |" in markdown(result)


def test_a_run_goes_on_where_it_was_killed_and_only_with_what_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, both, results = make_set(tmp_path), stages(tmp_path), tmp_path / "done.jsonl"
    first = evaluate(whole, both, results, workers=1)
    lines = results.read_text().splitlines()
    results.write_text("\n".join([*lines[:4], lines[4][:100]]))  # killed while it wrote
    scored: list[str] = []
    original = run.score

    def watched(whole: WholeSet, item: WholeItem, stages: tuple[WholeStage, ...], key: str) -> run.Found:
        scored.append(item.id)
        return original(whole, item, stages, key)

    monkeypatch.setattr(run, "score", watched)
    assert evaluate(whole, both, results, workers=1) == first
    assert scored == ["2", "2 at 5 dB"]
    evaluate(whole, both[:1], results, workers=1)
    assert len(scored) == 2 + 6, "other files, other scores"
    for part in "abm":
        write(tmp_path / f"0-{part}.wav", soundfile.read(tmp_path / f"0-{part}.wav", dtype="int16")[0][:-400])
    evaluate(whole, both[:1], results, workers=1)
    assert scored[8:] == ["0", "0 at 5 dB"], "its audio is another"


def test_files_that_do_not_fit_the_set_are_refused_at_once(tmp_path: Path) -> None:
    whole, both = make_set(tmp_path, 1), stages(tmp_path)
    three = whole.items[0].model_copy(update={"sources": [*whole.items[0].sources, whole.items[0].sources[0]]})
    with pytest.raises(UserError, match=r"net\.tflite gives 2 sources of 1 channel\(s\); the test set t has 3 of 1"):
        evaluate(whole.model_copy(update={"items": [three]}), both, tmp_path / "r.jsonl", workers=1)
    spoilt = make_set(tmp_path, 1, off=9)
    left = evaluate(spoilt.model_copy(update={"items": spoilt.items[:1]}), both, tmp_path / "r.jsonl", workers=1)
    with pytest.raises(UserError, match="no mixture of t could be scored; the first: the mixture is not the sum"):
        summarised(spoilt, both, left)
