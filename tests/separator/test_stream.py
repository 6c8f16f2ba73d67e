"""stream.c against edge_runtime: the same samples for any stream, cut into any pieces, whatever the network does."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pipeline.package.stream
from edge_runtime.step_runtime import StepRuntime
from edge_runtime.stream import StreamSeparator

SOURCES = Path(pipeline.package.stream.__file__).parent
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
Reset = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
Push = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int16), ctypes.POINTER(ctypes.c_int16))


class Settings(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("sample_rate", "hop", "late", "sources", "shift")),
        ("reset", Reset),
        ("push", Push),
        ("network", ctypes.c_void_p),
    ]


class _Stream(ctypes.Structure):
    _fields_ = [
        ("settings", Settings),
        *((name, ctypes.c_void_p) for name in ("hop", "separated", "shifts")),
        *((name, ctypes.c_int32) for name in ("waiting", "early")),
        *((name, ctypes.c_int64) for name in ("due", "heard", "constant", "peak", "raised")),
        *((name, ctypes.c_int32) for name in ("shift", "start", "ready")),
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler: install gcc (Debian: apt-get install gcc)")
    path = tmp_path_factory.mktemp("stream") / "stream.so"
    checked = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
    subprocess.run([compiler, *STRICT, *checked, "-O1", "-shared", "-fPIC", str(SOURCES / "stream.c"), "-o", str(path)], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.fq_stream_output.restype = ctypes.POINTER(ctypes.c_int16)
    return loaded


class Network:
    """A stand-in: each source is what was heard so long ago, and the sum of all that was heard, in a way of its own."""

    source_names, sample_rate = (), 100  # so that seconds pass soon

    def __init__(self, hop: int, late: int, sources: int) -> None:
        self.hop_samples, self.late_samples, self.latency_samples, self.sources = hop, late, late + hop, sources

    def start(self) -> list[np.ndarray]:
        return [np.zeros(self.late_samples, np.int16)]

    def step(self, pcm: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        states.append(pcm.copy())
        heard = np.concatenate(states).astype(np.int64)
        begin = len(heard) - self.hop_samples - self.late_samples
        one = heard[begin : begin + self.hop_samples]
        rows = [one * (source + 2) // (source + 1) - heard.sum() % 3 for source in range(self.sources)]
        return np.clip(rows, -32768, 32767).astype(np.int16)


class CStream:
    """The same calls as StreamSeparator."""

    def __init__(
        self, library: ctypes.CDLL, network: Network | StepRuntime, shift: int, begin: Callable[[], object], push: Callable[..., None]
    ) -> None:
        self._library, self._sources = library, network.sources
        hop, late = network.hop_samples, network.late_samples
        self._memory = np.full(hop * (2 + network.sources) + late + 8, 12345, np.int16)
        asked = Settings(network.sample_rate, hop, late, network.sources, shift, Reset(lambda _: begin() and None), Push(push), None)
        self._kept, self._c = asked, _Stream()
        assert library.fq_stream_start(ctypes.byref(self._c), ctypes.byref(asked), ctypes.c_void_p(self._memory.ctypes.data)) == 1

    def push(self, pcm: np.ndarray) -> np.ndarray:
        pieces, done = [np.zeros((self._sources, 0), np.int16)], 0
        while done < len(pcm):
            rest = np.ascontiguousarray(pcm[done:])
            done += self._library.fq_stream_push(ctypes.byref(self._c), ctypes.c_void_p(rest.ctypes.data), len(rest))
            pieces.append(self._ready())
        return np.concatenate(pieces, axis=1)

    def finish(self) -> np.ndarray:
        pieces = [np.zeros((self._sources, 0), np.int16)]
        while self._library.fq_stream_finish(ctypes.byref(self._c)):
            pieces.append(self._ready())
        assert (self._memory[-8:] == 12345).all(), "written beyond the memory"
        return np.concatenate(pieces, axis=1)

    def _ready(self) -> np.ndarray:
        rows = [self._library.fq_stream_output(ctypes.byref(self._c), source)[: self._c.ready] for source in range(self._sources)]
        return np.array(rows, np.int16).reshape(self._sources, self._c.ready)


def around(library: ctypes.CDLL, network: Network, shift: int) -> CStream:
    states: list[np.ndarray] = []

    def begin() -> None:
        states[:] = network.start()

    def push(_: object, pcm: object, separated: object) -> None:
        hop = np.ctypeslib.as_array(pcm, (network.hop_samples,))
        np.ctypeslib.as_array(separated, (network.sources, network.hop_samples))[...] = network.step(hop, states)

    return CStream(library, network, shift, begin, push)


def loudness(seed: int, count: int) -> np.ndarray:
    """Noise with silences, a constant and levels from one code to beyond full scale."""
    random = np.random.default_rng(seed)
    levels = np.repeat(2.0 ** random.uniform(-2, 16, 1 + count // 150), 150)[:count] * (random.random() < 0.9)
    return np.clip(random.normal(size=count) * levels + random.integers(-3000, 3000), -32768, 32767).astype(np.int16)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 900),
    st.integers(1, 40),
    st.integers(0, 60),
    st.integers(1, 3),
    st.integers(0, 8),
    st.lists(st.integers(0, 90), max_size=12),
)
@example(0, 0, 12, 30, 2, 0, [])
@example(5, 900, 7, 0, 1, 3, [5, 0, 30])
@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_samples_as_the_host(
    library: ctypes.CDLL, seed: int, count: int, hop: int, late: int, sources: int, shift: int, cuts: list[int]
) -> None:
    network, pcm = Network(hop, late, sources), loudness(seed, count)
    places = np.minimum(np.cumsum([0, *cuts]), count).tolist()
    separator = StreamSeparator(network, shift)  # type: ignore[arg-type]
    stream = around(library, network, shift)
    for _ in range(2):  # and as new after the end
        for start, end in zip(places, [*places[1:], count], strict=True):
            np.testing.assert_array_equal(stream.push(pcm[start:end]), separator.push(pcm[start:end]))
        np.testing.assert_array_equal(stream.finish(), separator.finish())


@pytest.mark.parametrize("wrong", [{"hop": 0}, {"late": -1}, {"sources": 0}, {"shift": 9}, {"sample_rate": 0}], ids=str)
def test_settings_out_of_range_are_refused(library: ctypes.CDLL, wrong: dict[str, int]) -> None:
    right = {"sample_rate": 8000, "hop": 4, "late": 1, "sources": 1, "shift": 0}
    asked = Settings(**{**right, **wrong})
    assert library.fq_stream_start(ctypes.byref(_Stream()), ctypes.byref(asked), None) == 0
