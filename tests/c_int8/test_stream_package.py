"""The part of a package that streams: every sample is the whole file's, and what is wrong with a package is found by its own test."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.package.c_int8.delay_lines import delay_lines
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.golden import ReferenceKernels
from pipeline.package.c_int8.package import write_c_package
from tests.c_int8.kernel_library import STRICT
from tests.export.test_streaming import KERNEL, LOOKBACK, SPEC, STRIDE, whole_model

SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
SOURCES = 2


@pytest.fixture(scope="module")
def whole() -> onnx.ModelProto:
    return whole_model(SPEC)


@pytest.fixture(scope="module")
def pcm() -> np.ndarray:
    """Loud, soft and silent samples after a window's silence, as long as a segment."""
    random, count = np.random.default_rng(7), SPEC.segment_samples
    noise = np.convolve(random.normal(size=count), np.hanning(9), "same")
    found = np.rint(noise / np.abs(noise).max() * 30000).astype(np.int16)
    found[count // 2 : count // 2 + 60] //= 256
    found[count // 3 : count // 3 + 90] = found[:LOOKBACK] = 0
    return found


def _convert(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path.with_suffix(".onnx"))
    return convert(path.with_suffix(".onnx"), path, load_target("c-int8").allowed_ops).path


@pytest.fixture(scope="module")
def whole_file(whole: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _convert(whole, tmp_path_factory.mktemp("whole") / "model.tflite")


@pytest.fixture(scope="module")
def package(whole: onnx.ModelProto, whole_file: Path, pcm: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    stream = _convert(to_streaming(whole, 4), folder / "model.stream.tflite")
    write_c_package(whole_file, [[pcm]], folder / "c", stream)
    return folder / "c"


class Streams:
    """The network of a package, compiled, and as many streams of it as are begun."""

    def __init__(self, package: Path, compiler: str, folder: Path) -> None:
        sources = [str(path) for path in (*sorted((package / "kernels").glob("*.c")), package / "model_stream.c", package / "weights.c")]
        includes = [f"-I{package}", f"-I{package / 'kernels'}"]
        subprocess.run([compiler, *STRICT, "-O0", "-shared", "-fPIC", *includes, *sources, "-o", str(folder / "s.so")], check=True)
        self._library = ctypes.CDLL(str(folder / "s.so"))
        header = (package / "model_stream.h").read_text()
        self.hop, self._bytes = (int(re.search(rf"STREAM_{name} (\d+)", header)[1]) for name in ("HOP", "ARENA_BYTES"))  # type: ignore[index]

    def begin(self) -> ctypes.Array[ctypes.c_int64]:
        memory = (ctypes.c_int64 * (self._bytes // 8))(*[-1] * (self._bytes // 8))
        self._library.tiny_stream_reset(memory)
        return memory

    def push(self, stream: ctypes.Array[ctypes.c_int64], pcm: np.ndarray) -> np.ndarray:
        separated = np.zeros((SOURCES, self.hop), np.int16)
        hop = np.ascontiguousarray(pcm)
        self._library.tiny_stream_push(stream, ctypes.c_void_p(hop.ctypes.data), ctypes.c_void_p(separated.ctypes.data))
        return separated


@pytest.mark.parametrize("hop", [1, 3, 4, 16])
def test_a_stream_is_the_whole(hop: int, whole: onnx.ModelProto, whole_file: Path, pcm: np.ndarray, compiler: str, tmp_path: Path) -> None:
    stream_file = _convert(to_streaming(whole, hop), tmp_path / "model.stream.tflite")
    write_c_package(whole_file, [[pcm]], tmp_path / "c", stream_file)
    streams = Streams(tmp_path / "c", compiler, tmp_path)
    stream = streams.begin()
    assert streams.hop == hop * STRIDE
    steps = [streams.push(stream, pcm[start : start + streams.hop]) for start in range(LOOKBACK, len(pcm) - streams.hop + 1, streams.hop)]
    got = np.concatenate(steps, axis=1)[:, : len(pcm) - STRIDE]
    reference = ReferenceKernels(whole_file)
    reference.run([pcm])
    want = reference.tensor(read_tflite(whole_file).graphs[0].outputs[0])[0]
    assert np.abs(want).max() > 1000  # a quiet network would hide differences
    assert got.shape[1] > 800 - KERNEL - streams.hop
    np.testing.assert_array_equal(got, want[:, : got.shape[1]])


def test_streams_do_not_hear_each_other(package: Path, pcm: np.ndarray, compiler: str, tmp_path: Path) -> None:
    streams = Streams(package, compiler, tmp_path)
    hops = [pcm[start : start + streams.hop] for start in range(0, 256, streams.hop)]
    alone = streams.begin()
    want = [streams.push(alone, hop) for hop in hops]
    first, second = streams.begin(), streams.begin()
    for number, hop in enumerate(hops):
        np.testing.assert_array_equal(streams.push(first, hop), want[number])
        streams.push(second, hops[-1 - number])


def _check(package: Path, build: Path, compiler: str, flags: str = "-O1") -> subprocess.CompletedProcess[str]:
    values = [f"CC={compiler}", f"CFLAGS={flags}", f"BUILD={build}"]
    return subprocess.run(["make", "-s", "-C", str(package), "check", *values], capture_output=True, text=True)


@pytest.mark.parametrize(("choice", "flags"), [("gcc", SANITIZED), ("clang", "-O1")])
def test_builds_without_a_warning_and_passes(choice: str, flags: str, package: Path, tmp_path: Path) -> None:
    if shutil.which(choice) is None:
        pytest.skip(f"no {choice} here (Debian: apt-get install {choice})")
    done = _check(package, tmp_path, choice, flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 0 of 1 clips differ" in done.stdout and f"PASS: 0 of {800 // 32 * 32 * SOURCES} samples differ" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("file", "pattern", "by", "message"),
    [
        ("model_stream.c", r"(\{\d+, \{\d+, )(-?\d+)(, 1\}\}, /\* masker\.TCN\.2)", r"\g<1>7\3", "step 0 .*'masker\\.TCN\\.2"),
        ("model_stream.c", r"\.ago = 160\}", ".ago = 80}", r"the samples of step \d differ|after step \d .*'masker\.TCN\.3"),
        ("golden_stream.h", r"0x.(.{7}u; /\* of all)", r"0x0\1", "samples after step 8 differ"),
    ],
    ids=["initial code", "delay", "late samples"],
)
def test_what_is_wrong_is_found(file: str, pattern: str, by: str, message: str, package: Path, compiler: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(package, broken)
    text, count = re.subn(pattern, by, (broken / file).read_text())
    assert count
    (broken / file).write_text(text)
    done = _check(broken, tmp_path / "build", compiler, "-O0")
    assert done.returncode != 0
    assert re.search(f"stream: FAIL, .*{message}", done.stdout), done.stdout


def test_the_memory_is_that_of_the_states(package: Path, whole: onnx.ModelProto, tmp_path: Path) -> None:
    """Rings as long as the longest delay and four bytes each, no copies of them."""
    file = _convert(to_streaming(whole, 4), tmp_path / "model.stream.tflite")
    model = read_tflite(file)
    assert model.metadata is not None and model.metadata.streaming is not None
    lines = delay_lines(model.graphs[0], model.metadata.streaming.states)
    rings = [20 * 2, 20 * 4, 20 * 2 * 4, 20 * 2 * 8, 24, 24]  # of blocks of 20 channels, and of the features of two sources
    assert sorted(line.length for line in lines) == sorted([2 * LOOKBACK, *rings])
    assert f"{sum(4 + line.length for line in lines)} hold from step to step" in (package / "model_stream.h").read_text()


def test_a_file_that_does_not_stream_is_refused(whole_file: Path, pcm: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say how it streams"):
        write_c_package(whole_file, [[pcm]], tmp_path / "c", whole_file)
    assert not (tmp_path / "c").exists()
