"""A streaming file on every runtime against the same runtime's whole segment, and the command line with it."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from typer.testing import CliRunner

from edge_runtime.__main__ import app
from edge_runtime.model_file import read_model
from edge_runtime.opening import open_for, separator_of
from edge_runtime.runtime import open_engine, open_runtime
from edge_runtime.step_runtime import StepRuntime, open_steps
from edge_runtime.stream import StreamSeparator
from export_specs.foundation.errors import UserError
from export_specs.schema import RUNTIMES
from pipeline.convert.convert import convert
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import deployed
from tests.tiny import mixtures, quantized_network, tiny_spec

SPEC = tiny_spec(causal=True, n_blocks=4)
LATE, HOPS = 8, (1, 4, 16)
WHOLE = {"tflite": "model.tflite", "onnx": "model.qdq.onnx"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small network: the whole, and of each hop."""
    folder = tmp_path_factory.mktemp("streaming")
    deployed(quantized_network(SPEC, Recipe("fqss", "scalar-gain")), SPEC, folder)
    for hop in HOPS:
        onnx.save(to_streaming(onnx.load(folder / "model.qdq.onnx"), hop), folder / f"{hop}.onnx")
        convert(folder / f"{hop}.onnx", folder / f"{hop}.tflite")
    return folder


def steps_of(opened: StepRuntime, pcm: np.ndarray) -> np.ndarray:
    hop, states = opened.hop_samples, opened.start()
    return np.concatenate([opened.step(pcm[start : start + hop], states) for start in range(0, len(pcm) - hop + 1, hop)], axis=1)


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "onnxruntime"])
@pytest.mark.parametrize("hop", HOPS)
def test_streamed_is_whole(hop: int, runtime: str, folder: Path) -> None:
    pcm = np.rint(mixtures(SPEC, 1, seed=5)[0].numpy() * 32767).astype(np.int16)
    pcm[:LATE] = pcm[500:600] = 0
    want = open_runtime(folder / "model.tflite", runtime).run(pcm)
    got = steps_of(open_steps(folder / f"{hop}.tflite", runtime), pcm[LATE:])[:, : len(pcm) - LATE]
    assert got.shape[1] > 600 and np.abs(want).max() > 1000
    np.testing.assert_array_equal(got, want[:, : got.shape[1]])


def test_the_onnx_file_is_near(folder: Path) -> None:
    pcm = np.rint(mixtures(SPEC, 1, seed=5)[0].numpy() * 32767).astype(np.int16)
    pcm[:LATE] = 0
    want = open_runtime(folder / "model.qdq.onnx").run(pcm)
    got = steps_of(open_steps(folder / "4.onnx"), pcm[LATE:])[:, : len(pcm) - LATE]
    error = got.astype(float) - want[:, : got.shape[1]]
    assert np.square(error).sum() < 1e-3 * np.square(want.astype(float)).sum()


def test_a_separator_of_each_file(folder: Path) -> None:
    """The whole file answers a segment later, the other a hop later; both give the recording's length."""
    pcm = np.rint(mixtures(SPEC, 1, seed=5)[0].numpy() * 32767).astype(np.int16)
    latencies = []
    for name in ("model.tflite", "4.tflite"):
        separator = separator_of(open_for(folder / name, None, 1, None, True))
        latencies.append(separator.latency_samples)
        result = np.concatenate([separator.push(pcm), separator.push(pcm[:333]), separator.finish()], axis=1)
        assert result.shape == (2, 1133)
    assert latencies == [800, 4 * 8 + LATE]


def test_minutes_need_no_more_memory_than_seconds(folder: Path) -> None:
    """All that a stream holds are its states: nothing in it grows."""
    separator = StreamSeparator(open_steps(folder / "16.tflite"))
    sizes = []
    for _ in range(3):
        for _ in range(20):
            separator.push(np.full(800, 50, np.int16))
        lines = vars(separator._states)["_lines"].values()
        sizes.append([line._buffer.size for line in lines] + [separator._waiting.size, separator._shifts.size])
    assert sizes[0] == sizes[1] == sizes[2]


def test_files_of_the_other_kind_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"model\.tflite is run by segments, not step by step"):
        open_steps(folder / "model.tflite")
    with pytest.raises(UserError, match=r"4\.tflite is run step by step: give --stream"):
        open_runtime(folder / "4.tflite")


@pytest.mark.parametrize("fault", ["missing", "shape", "hop"])
def test_a_file_that_contradicts_itself_is_refused(fault: str, folder: Path) -> None:
    file = read_model(folder / "4.tflite")
    assert file.metadata is not None and file.metadata.streaming is not None
    states = file.metadata.streaming.states
    changed = {"missing": states[1:], "shape": (states[0].model_copy(update={"frames": 9}), *states[1:]), "hop": states}[fault]
    streaming = file.metadata.streaming.model_copy(update={"states": changed})
    samples = 24 if fault == "hop" else file.metadata.segment_samples
    metadata = file.metadata.model_copy(update={"streaming": streaming, "segment_samples": samples})
    with pytest.raises(UserError, match=r"4\.tflite contradicts itself"):
        StepRuntime(replace(file, metadata=metadata), "litert-ref", open_engine(file, "litert-ref"), 8000)


def test_commands(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = np.rint(mixtures(SPEC, 1, seed=5)[0].numpy() * 32767).astype(np.int16)
    soundfile.write(tmp_path / "mix.wav", pcm, 8000)
    arguments = ["separate", str(tmp_path / "mix.wav"), "--model", str(folder / "4.tflite"), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, UserError) and "give --stream" in str(refused.exception)
    result = CliRunner().invoke(app, [*arguments, "--stream"])
    assert result.exit_code == 0, result.output
    assert "latency 5 ms" in result.stderr and "of the recording's" in result.stderr
    separator = StreamSeparator(open_steps(folder / "4.tflite"))
    want = np.concatenate([separator.push(pcm), separator.finish()], axis=1)
    for number, waveform in enumerate(want, 1):
        np.testing.assert_array_equal(soundfile.read(tmp_path / "out" / f"mix_{number}.wav", dtype="int16")[0], waveform)
    shown = CliRunner().invoke(app, ["info", str(folder / "4.tflite")])
    assert "separates steps of 32 samples into 2 source(s), 40 samples of latency" in shown.output


def test_live_command(folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pcm = np.rint(mixtures(SPEC, 1, seed=5)[0].numpy() * 32767).astype(np.int16)

    class Pipe:
        buffer = io.BytesIO(pcm.astype("<i2").tobytes())

    monkeypatch.setattr(sys, "stdin", Pipe)
    app(["live", "--model", str(folder / "4.tflite"), "--source", "2"], standalone_mode=False)
    separator = StreamSeparator(open_steps(folder / "4.tflite"))
    want = np.concatenate([separator.push(pcm), separator.finish()], axis=1)[1]
    captured = capfdbinary.readouterr()
    np.testing.assert_array_equal(np.frombuffer(captured.out, "<i2"), want)
    assert b"8000 samples per second, 2 source(s), latency 5 ms" in captured.err
    with pytest.raises(UserError, match=r"source '3'"):
        app(["live", "--model", str(folder / "4.tflite"), "--source", "3"], standalone_mode=False)
