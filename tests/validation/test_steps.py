"""The judge's own host of a streaming file: equal to whole segments, and not with a wrong initial code or another network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from edge_runtime.runtime import open_runtime
from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import deployed
from tests.eager import eager
from tests.tiny import quantized_network, tiny_spec, waveforms
from validation.gate import Gate
from validation.gates.steps_exact import StepsExact
from validation.gates.steps_latency import StepsLatency
from validation.gates.steps_near import StepsNear
from validation.gates.steps_resources import StepsResources
from validation.gates.steps_structure import StepsStructure
from validation.steps import Compared, Pcm, Steps, compare, impulse_latency, loud_and_silent

__all__ = ["eager"]
SPEC = tiny_spec(causal=True, n_blocks=3)
CONTEXT = (1 + 1 + 2 * (1 + 2 + 4) + 1) * 8
RECORDING = np.rint(waveforms(1, 1500)[0].numpy() * 9000).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    for name, seed in (("one", 0), ("other", 1)):
        (folder / name).mkdir()
        deployed(quantized_network(SPEC, Recipe("fqss", "scalar-gain"), seed), SPEC, folder / name)
    onnx.save(to_streaming(onnx.load(folder / "one" / "model.qdq.onnx"), 4), folder / "stream.onnx")
    convert(folder / "stream.onnx", folder / "stream.tflite")
    return folder


class Begun(Steps):
    """Begins with other codes than the file says."""

    codes: Mapping[str, int] = {}

    def run(self, pcm: Pcm, initial: Mapping[str, int] | None = None) -> Pcm:
        return super().run(pcm, self.codes)


def compared(folder: Path, whole: str = "one", codes: Mapping[str, int] | None = None) -> Compared:
    steps = Begun(folder / "stream.tflite", "litert-ref")
    steps.codes = codes or {}
    return compare(steps, open_runtime(folder / whole / "model.tflite", "litert-ref"), RECORDING)


def test_a_stream_is_its_whole(folder: Path) -> None:
    found = compared(folder)
    assert (found.differing, found.error, found.sqnr_db) == (0, 0, float("inf"))
    assert found.context == CONTEXT and found.samples >= 3 * CONTEXT and found.enough
    assert found.signal > 1e5


def test_another_network_is_seen(folder: Path) -> None:
    found = compared(folder, "other")
    assert found.differing > found.samples // 2
    assert found.sqnr_db < 10


@pytest.mark.parametrize("kind", ["shift", "line"])
def test_a_wrong_initial_code_is_seen(kind: str, folder: Path) -> None:
    states = Steps(folder / "stream.tflite", "litert-ref").streaming.states
    wrong = {state.input: state.initial + 40 for state in states if state.kind == kind}
    assert wrong
    assert compared(folder, codes=wrong).differing > 0


def test_onnx_is_run_too(folder: Path) -> None:
    whole = open_runtime(folder / "one" / "model.qdq.onnx")
    assert compare(Steps(folder / "stream.onnx", "onnxruntime"), whole, RECORDING).sqnr_db > 20


def test_a_whole_file_is_no_stream(folder: Path) -> None:
    with pytest.raises(UserError, match="does not stream"):
        Steps(folder / "one" / "model.tflite", "litert-ref")


def test_the_recording_is_loud_silent_and_soft() -> None:
    pcm = loud_and_silent(RECORDING, 800)
    assert np.abs(pcm.astype(int)).max() > 20000
    assert not pcm[200:300].any() and not pcm[1000:1100].any()
    assert 0 < np.abs(pcm[400:500].astype(int)).max() <= 128


GATES: list[Gate[Any, Any]] = [StepsStructure(), StepsExact(), StepsNear(), StepsLatency(), StepsResources()]


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.id)
def test_gates_look_at_the_files(gate: Gate[Any, Any], folder: Path) -> None:
    """All but the latency of random weights, which answer an impulse anywhere, are as they should be."""
    files = {"tflite": folder / "one" / "model.tflite", "onnx": folder / "one" / "model.qdq.onnx"}
    config = SimpleNamespace(**files, stream_tflite=folder / "stream.tflite", stream_onnx=folder / "stream.onnx")
    running = ["onnxruntime", "litert-ref", "tflm"]
    file = SimpleNamespace(running=running, sample_rate=8000, arena_bytes=1 << 20, recording=lambda _: RECORDING)
    evidence: Any = SimpleNamespace(config=config, target=load_target("tflite-int8"), file=file)
    assert gate.asked(evidence, gate.settings())
    results = gate.judge(gate.observe(evidence), gate.settings(), "quick")
    assert all(result.n > 0 and result.observed is not None for result in results)
    if gate.id != "structure.latency":
        assert {result.state for result in results} == {"passed"}
    config.stream_tflite = config.stream_onnx = None
    assert not gate.asked(evidence, gate.settings())


class Delaying(Steps):
    """Gives its input, later than the file says by ``more``."""

    def __init__(self, path: Path, more: int) -> None:
        super().__init__(path, "litert-ref")
        self._more = more

    def run(self, pcm: Pcm, initial: Mapping[str, int] | None = None) -> Pcm:
        return np.stack([np.concatenate([np.zeros(self.late + self._more, np.int16), pcm])[: len(pcm)]] * self.sources)


@pytest.mark.parametrize("more", [0, 8])
def test_latency_of_an_impulse(more: int, folder: Path) -> None:
    """A hop's last frame waits longest: for its own step, and, because a window reaches into the next, for all of that one too."""
    steps = Delaying(folder / "stream.tflite", more)
    assert steps.streaming.latency_samples == 4 * 8 + 8
    assert impulse_latency(steps) == 4 * 8 + 8 + more
