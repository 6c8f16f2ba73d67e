"""Recordings as they come: pipes, odd names and headers, channels that cancel, hours. One line for what cannot be read, and exit code 1."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.model_file import read_model
from edge_runtime.recording import open_recording
from edge_runtime.segments import separate_blocks
from edge_runtime.source_files import source_files
from export_specs.foundation.errors import UserError
from tests.edge_runtime.recordings import measured

NOISE = np.random.default_rng(0).integers(-9000, 9000, 2000).astype(np.int16)


def run(*arguments: object, content: bytes = b"") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "edge_runtime", *(os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments)]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape")


def test_what_the_command_cannot_read_is_one_line(doubling: Callable[..., Path], tmp_path: Path) -> None:
    model = doubling()
    (tmp_path / "a.raw").write_bytes(bytes(range(1, 201)))
    (tmp_path / "lfs.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    for name, reason in (("a.raw", "without a header"), ("lfs.wav", "git lfs pull"), (os.fsdecode(b"\xff.wav"), "is not there")):
        code, out, error = run("separate", tmp_path / name, "--model", model, "--out", tmp_path / "out")
        assert (code, out, error.count("\n"), reason in error) == (1, "", 1, True), error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_model_that_is_something_else_is_told_for_what_it_is(suffix: str, tmp_path: Path) -> None:
    for content, reason in (
        (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "git lfs pull"),
        (b"<html>", "a web page"),
        (b"", "0 bytes"),
    ):
        (tmp_path / f"model.{suffix}").write_bytes(content)
        with pytest.raises(UserError, match=f"neither a TFLite nor an ONNX file: it is .*{reason}"):
            read_model(tmp_path / f"model.{suffix}")


def test_a_pipe_and_a_name_that_is_no_text(doubling: Callable[..., Path], tmp_path: Path) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, NOISE, 8000, format="WAV")
    content = bytearray(stream.getvalue())
    content[4:8] = content[40:44] = bytes(4)
    model = doubling()
    code, out, error = run("separate", "/dev/stdin", "--model", model, "--out", tmp_path / "out", content=bytes(content))
    assert code == 0, error
    assert "written to a pipe" in error
    assert out.split() == [str(tmp_path / "out" / f"stdin_{number}.wav") for number in (1, 2)]
    assert np.array_equal(soundfile.read(tmp_path / "out" / "stdin_1.wav", dtype="int16")[0], NOISE)
    odd = tmp_path / os.fsdecode(b"\xff.wav")
    odd.write_bytes(stream.getvalue())
    code, _, error = run("separate", odd, "--model", model, "--out", tmp_path / "odd")
    assert code == 0, error
    assert (tmp_path / "odd" / os.fsdecode(b"\xff_2.wav")).is_file()


@pytest.mark.parametrize(("rate", "reason"), [(1, "1 Hz, which no recording has"), (2**31 - 1, "2147483647 Hz, which no recording has")])
def test_rates_that_no_recording_has(rate: int, reason: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", NOISE, 8000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", rate)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=reason):
        measured(tmp_path / "a.wav", 8000)


def test_a_format_without_such_a_rate_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile(NOISE, 50), 800_000)
    recording = measured(tmp_path / "a.wav", 8000)
    with (
        pytest.raises(UserError, match=r"cannot write .*a_1\.flac.*sample rate"),
        source_files(tmp_path / "out", "a", 1, recording, "flac") as files,
    ):
        files.write(recording.pcm[None])
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(("second", "told"), [(-1.0, True), (-0.9, True), (0.0, False), (0.5, False), (1.0, False)])
def test_channels_that_cancel_are_told(second: float, told: bool, tmp_path: Path) -> None:
    first = np.random.default_rng(1).normal(0, 0.1, 4000)
    soundfile.write(tmp_path / "a.wav", np.stack([first, second * first], axis=1), 8000)
    assert any("cancel each other" in warning for warning in measured(tmp_path / "a.wav", 8000).warnings) is told
    assert not measured(tmp_path / "a.wav", 8000, "1").warnings
    assert not measured(tmp_path / "a.wav", 8000, audio_channels=2).warnings
    unrelated = np.random.default_rng(2).normal(0, 0.1, (4000, 6))
    soundfile.write(tmp_path / "b.wav", unrelated, 8000)
    assert not measured(tmp_path / "b.wav", 8000).warnings


@pytest.mark.parametrize(("constant", "told"), [(0.0, False), (0.0005, False), (0.02, True), (-0.1, True)])
def test_a_constant_under_the_sound_is_told(constant: float, told: bool, tmp_path: Path) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 16000)
    soundfile.write(tmp_path / "a.wav", sound - sound.mean() + constant, 8000)
    warnings = measured(tmp_path / "a.wav", 8000).warnings
    assert [f"a constant ({constant:.3f} of full scale)" in warning for warning in warnings] == ([True] if told else [])
    soundfile.write(tmp_path / "b.wav", np.zeros(9000), 8000)
    assert not measured(tmp_path / "b.wav", 8000).warnings


class Twice:
    """A runtime of long segments that gives its input for each of two sources."""

    sample_rate, segment_samples, sources, source_names = 8000, 24000, 2, ()

    def run(self, pcm: np.ndarray) -> np.ndarray:
        return np.stack([pcm, pcm])


@pytest.mark.parametrize("rate", [8000, 16000])
def test_memory_does_not_grow_with_the_recording(rate: int, tmp_path: Path) -> None:
    """Eight minutes in stereo: 61 or 123 MB as float64 at once, and twice that for the results."""
    with soundfile.SoundFile(tmp_path / "long.flac", "w", rate, 2, "PCM_16", format="FLAC") as file:
        piece = np.random.default_rng(0).integers(-99, 100, (rate * 10, 2)).astype(np.int16)
        for _ in range(48):
            file.write(piece)
    tracemalloc.start()
    try:
        with open_recording(tmp_path / "long.flac", 8000) as recording:
            pieces = separate_blocks(Twice(), recording.blocks())  # type: ignore[arg-type]
            with source_files(tmp_path, "x", 2, recording) as files:
                for separated in pieces:
                    files.write(separated)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16e6
    assert soundfile.info(tmp_path / "x_2.wav").frames == rate * 480


@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from([".wav", ".raw", ".flac", ".mp3", ".txt", ""]), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_are_measured_or_refused(tmp_path: Path, noise: bytes, kept: int, suffix: str, headed: bool) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, NOISE[:200], 8000, format="WAV")
    path = tmp_path / f"x{suffix}"
    path.write_bytes(stream.getvalue()[:kept] + noise if headed else noise)
    refusal = ""
    try:
        recording = measured(path, 8000)
        assert recording.pcm.shape == (recording.samples,)
    except UserError as error:
        refusal = str(error)
    assert not refusal or (str(path) in refusal and "\n" not in refusal)


def test_a_full_disk_is_told_and_leaves_nothing(doubling: Callable[..., Path], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile(NOISE, 100), 8000)
    model = doubling()
    program = (
        "import resource, runpy, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "runpy.run_module('edge_runtime', run_name='__main__')"
    )
    arguments = ["separate", tmp_path / "a.wav", "--model", model, "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no space left" in done.stderr.splitlines()[-1] or "cannot write to" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())
