"""The file itself is run, not what stands around it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edge_runtime.segments as segments
from edge_runtime.runtime import open_runtime
from edge_runtime.segments import separate
from tests.edge_runtime.conftest import (
    METADATA,
    PCM_SCALE,
    SAMPLES,
    TfliteGraph,
    write_doubling_model,
    write_onnx_network,
    write_tflite_network,
)
from validation.behaviour import CLIP, FULL_SCALE, IMPULSE, ZEROS, observe, stimuli
from validation.gates.streamed import differing, joined

RATE = 8000
RUNTIMES = ("onnxruntime", "litert-ref", "litert-opt", "litert-xnnpack", "tflm")
OFFSET = 300


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(5).integers(-20000, 20000, SAMPLES).astype(np.int16)


def write_humming_model(path: Path) -> Path:
    """[1, T] -> [1, 2, T]: the input plus a constant of OFFSET codes."""
    g = TfliteGraph()
    pcm = g.tensor("pcm", [1, SAMPLES], np.int16, PCM_SCALE)
    hum = g.tensor("hum", [1, SAMPLES], np.int16, PCM_SCALE, data=np.full((1, SAMPLES), OFFSET))
    total = g.tensor("total", [1, SAMPLES], np.int16, PCM_SCALE)
    g.operator("ADD", [pcm, hum], [total], "AddOptions")
    row = g.tensor("row", [1, 1, SAMPLES], np.int16, PCM_SCALE)
    g.operator("RESHAPE", [total, g.tensor("shape", [3], np.int32, data=[1, 1, SAMPLES])], [row])
    separated = g.tensor("separated", [1, 2, SAMPLES], np.int16, PCM_SCALE)
    g.operator("CONCATENATION", [row, row], [separated], "ConcatenationOptions", axis=1)
    return g.write(path, [pcm], [separated], METADATA)


def test_a_file_that_hums_on_silence_is_heard(tmp_path: Path, clip: np.ndarray) -> None:
    path = write_humming_model(tmp_path / "hum.tflite")
    for runtime in RUNTIMES[1:]:
        found = observe(path, runtime, clip, RATE)
        assert found.problem is None and found.peaks[ZEROS] == OFFSET, runtime
    whole = separate(open_runtime(path, "litert-ref"), np.zeros(SAMPLES, np.int16))
    assert not whole.any(), "the stitcher answers silence without the file: it must not be what is judged"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_runs_all_four_inputs(tmp_path: Path, clip: np.ndarray, runtime: str) -> None:
    path = write_onnx_network(tmp_path / "n.onnx") if runtime == "onnxruntime" else write_tflite_network(tmp_path / "n.tflite")
    found = observe(path, runtime, clip, RATE)
    assert found.problem is None and found.repeatable
    opened = open_runtime(path, runtime)
    for name, segment in stimuli(clip).items():
        assert found.peaks[name] == np.abs(opened.run(segment).astype(int)).max()
    assert (found.arena_bytes is None) is (runtime != "tflm")


def test_what_is_put_in(clip: np.ndarray) -> None:
    given = stimuli(np.stack([clip, clip]))
    assert not given[ZEROS].any() and given[ZEROS].shape == (2, SAMPLES)
    assert np.count_nonzero(given[IMPULSE]) == 2 and given[IMPULSE].max() == 32767
    assert given[CLIP].dtype == given[FULL_SCALE].dtype == np.int16
    assert set(given[FULL_SCALE].ravel()) == {-32768, 32767}


def test_a_runtime_that_loads_the_file_and_fails_on_it_has_a_problem(
    tmp_path: Path, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN comes out of a division of zero by zero, for zeros alone: loading tells nothing."""
    g = TfliteGraph()
    pcm = g.tensor("pcm", [1, 1, SAMPLES], np.float32)
    ratio = g.tensor("ratio", [1, 1, SAMPLES], np.float32)
    g.operator("DIV", [pcm, pcm], [ratio], "DivOptions")
    separated = g.tensor("separated", [1, 2, SAMPLES], np.float32)
    g.operator("CONCATENATION", [ratio, ratio], [separated], "ConcatenationOptions", axis=1)
    path = g.write(tmp_path / "nan.tflite", [pcm], [separated], METADATA)
    for runtime in ("litert-ref", "litert-opt", "litert-xnnpack"):
        assert "NaN" in str(observe(path, runtime, clip, RATE).problem), runtime


def test_what_a_runtime_remembers_is_seen(clip: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that adds one code with every run: the same input has another output the second time."""
    runs = count()
    opened = SimpleNamespace(run=lambda segment: np.stack([segment // 2 + next(runs)]), arena_bytes=None)
    monkeypatch.setattr("validation.behaviour.open_runtime", lambda *_, **__: opened)
    assert observe(Path("any"), "tflm", clip, RATE).repeatable is False
    opened.run = lambda segment: np.stack([segment // 2])
    assert observe(Path("any"), "tflm", clip, RATE).repeatable is True


def test_problems_are_told(tmp_path: Path, clip: np.ndarray) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"junk")
    assert "neither a TFLite nor an ONNX file" in str(observe(tmp_path / "bad.tflite", "tflm", clip, RATE).problem)
    assert "judge.json does not name" in str(observe(None, "onnxruntime", clip, RATE).problem)


RECORDINGS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "2.4 segments": lambda rng: rng.integers(-9000, 9000, int(2.4 * SAMPLES)),
    "an odd rest": lambda rng: rng.integers(-300, 300, 3 * SAMPLES + 7),
    "whole hops": lambda rng: rng.integers(-30000, 30000, SAMPLES + 2 * 48),
    "one sample over": lambda rng: rng.integers(-9000, 9000, SAMPLES + 1),
    "a silent segment": lambda rng: np.concatenate([rng.integers(-9, 9, SAMPLES), np.zeros(2 * SAMPLES), rng.integers(-9000, 9000, 90)]),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_streamed_equals_whole_segments_joined_by_hand(tmp_path: Path, name: str) -> None:
    recording = RECORDINGS[name](np.random.default_rng(3)).astype(np.int16)
    path = write_tflite_network(tmp_path / "n.tflite")
    assert differing(path, "litert-xnnpack", recording, RATE) == 0
    assert joined(open_runtime(path, "litert-xnnpack"), recording).shape == (2, len(recording))


def test_the_reference_of_an_exact_copy_is_the_recording(tmp_path: Path) -> None:
    recording = np.random.default_rng(3).integers(-30000, 30000, 5 * SAMPLES + 11).astype(np.int16)
    opened = open_runtime(write_doubling_model(tmp_path / "d.tflite"), "litert-ref")
    np.testing.assert_array_equal(joined(opened, recording), np.stack([recording, recording]))


@pytest.mark.parametrize("broken", ["cross_fade", "align", "undo_shift"])
def test_a_broken_stitcher_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Streamed and whole through the same stitcher would be equal all the same."""
    changes: dict[str, Callable[..., object]] = {
        "cross_fade": lambda previous, following: following,
        "align": lambda previous, following: [1, 0],
        "undo_shift": lambda pcm, shift: pcm >> shift,
    }
    path = write_tflite_network(tmp_path / "n.tflite")
    recording = np.random.default_rng(3).integers(-3000, 3000, int(2.4 * SAMPLES)).astype(np.int16)
    assert differing(path, "litert-ref", recording, RATE) == 0
    monkeypatch.setattr(segments, broken, changes[broken])
    assert differing(path, "litert-ref", recording, RATE) > 0


def test_a_constant_is_removed_from_segments_long_enough_to_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 128 samples per second a segment of 64 lasts half a second."""
    slow = 128
    path = write_tflite_network(tmp_path / "n.tflite", METADATA.model_copy(update={"sample_rate": slow}))
    recording = (900 + np.random.default_rng(3).integers(-3000, 3000, int(2.4 * SAMPLES))).astype(np.int16)
    assert differing(path, "litert-ref", recording, slow) == 0
    monkeypatch.setattr(segments, "remove_constant", lambda pcm, sample_rate: pcm)
    assert differing(path, "litert-ref", recording, slow) > 0
