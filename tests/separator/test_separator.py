"""separator.c against edge_runtime: the same samples for any recording, cut into any pieces, whatever the network does."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pipeline.package.separator
from edge_runtime.segments import SegmentSeparator

SOURCES = Path(pipeline.package.separator.__file__).parent
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
Run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Settings(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("sample_rate", "length", "overlap", "sources", "channels", "named")),
        ("run", Run),
        ("network", ctypes.c_void_p),
        ("input", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
    ]


class _Separator(ctypes.Structure):
    _fields_ = [
        ("settings", _Settings),
        *((name, ctypes.c_void_p) for name in ("samples", "previous", "current")),
        *((name, ctypes.c_int32) for name in ("waiting", "first")),
        ("activity", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("start", "ready")),
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler: install gcc (Debian: apt-get install gcc)")
    path = tmp_path_factory.mktemp("separator") / "separator.so"
    subprocess.run([compiler, *STRICT, "-O1", "-shared", "-fPIC", str(SOURCES / "separator.c"), "-o", str(path)], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.fq_separator_output.restype = ctypes.POINTER(ctypes.c_int16)
    return loaded


@dataclass
class Network:
    """A stand-in: each source is the segment, blurred, delayed and scaled in a way of its own, and their order changes from run to run."""

    sources: int
    channels: int
    segment_samples: int
    sample_rate: int
    source_names: tuple[str, ...]
    runs: int = field(default=0)

    def run(self, pcm: np.ndarray) -> np.ndarray:
        self.runs += 1
        wide = pcm.astype(np.int64)
        rows = [np.roll(wide, source + 1, axis=-1) * (source + 2) // 3 - wide // (source + 1) for source in range(self.sources)]
        order = np.random.default_rng(self.runs).permutation(self.sources)
        result = np.clip(np.stack([rows[index] for index in order]), -32768, 32767).astype(np.int16)
        return result if self.channels > 1 else result.reshape(self.sources, self.segment_samples)


class CSeparator:
    def __init__(self, library: ctypes.CDLL, network: Network, overlap: int) -> None:
        self._library, self._network = library, network
        shape = (network.channels, network.segment_samples)
        self._input = np.zeros(shape, np.int16)
        self._output = np.zeros((network.sources, *shape), np.int16)
        values = network.channels * (2 * shape[1] - overlap) + 2 * self._output.size
        self._memory = np.full(values + 8, 12345, np.int16)
        self._run = Run(self._invoke)
        self._c = _Separator()
        asked = _Settings(
            network.sample_rate,
            shape[1],
            overlap,
            network.sources,
            network.channels,
            int(bool(network.source_names)),
            self._run,
            None,
            self._input.ctypes.data,
            self._output.ctypes.data,
        )
        assert library.fq_separator_start(ctypes.byref(self._c), ctypes.byref(asked), ctypes.c_void_p(self._memory.ctypes.data)) == 1

    def _invoke(self, _: object) -> None:
        segment = self._input if self._network.channels > 1 else self._input[0]
        self._output[:] = self._network.run(segment.copy()).reshape(self._output.shape)
        self._input[:] = -1  # a network may overwrite its input

    def push(self, pcm: np.ndarray) -> list[np.ndarray]:
        pieces, done = [], 0
        block = np.ascontiguousarray(pcm.reshape(self._network.channels, -1))
        while done < block.shape[1]:
            start = ctypes.c_void_p(block.ctypes.data + 2 * done)
            done += self._library.fq_separator_push(ctypes.byref(self._c), start, block.shape[1], block.shape[1] - done)
            pieces.append(self._ready())
        return pieces

    def finish(self) -> np.ndarray:
        self._library.fq_separator_finish(ctypes.byref(self._c))
        assert (self._memory[-8:] == 12345).all(), "written beyond the memory"
        return self._ready()

    def _ready(self) -> np.ndarray:
        count, rows = self._c.ready, self._network.sources * self._network.channels
        found = [self._library.fq_separator_output(ctypes.byref(self._c), row)[:count] for row in range(rows)]
        return np.array(found, np.int16).reshape(rows, count)


def _recording(rng: np.random.Generator, channels: int, samples: int) -> np.ndarray:
    """Passages of any level, silence and clicks, on a constant."""
    level = (
        np.repeat(2.0 ** rng.uniform(-2, 15, samples // 40 + 1), 40)[:samples]
        * rng.choice([0, 1, 1], samples // 40 + 1).repeat(40)[:samples]
    )
    pcm = rng.normal(size=(channels, samples)) * level + rng.choice([0, 0, 700, -20000])
    if samples and rng.random() < 0.3:
        pcm[:, rng.integers(samples)] = 32767
    return np.clip(pcm, -32768, 32767).astype(np.int16)


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), sources=st.integers(1, 4), channels=st.integers(1, 2), named=st.booleans())
def test_the_same_samples_as_edge_runtime(seed: int, sources: int, channels: int, named: bool, library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(seed)
    length = int(rng.integers(8, 300))
    part = float(rng.choice([0.25, 0.5, 0.1, 0.33]))
    overlap = int(length * part + 0.5)
    if not 0 < overlap <= length // 2:
        return
    rate = int(rng.choice([100, 2 * length, 8 * length]))  # a segment is longer or shorter than a quarter of a second
    names = tuple(map(str, range(sources))) if named else ()
    make: Callable[[], Network] = lambda: Network(sources, channels, length, rate, names)  # noqa: E731
    recordings = [_recording(rng, channels, int(rng.integers(0, 5 * length))) for _ in range(2)]
    expected, found = SegmentSeparator(make(), part), CSeparator(library, make(), overlap)
    for pcm in recordings:  # the second through the same separator, as new after the first
        given_pcm = pcm if channels > 1 else pcm[0]
        whole = np.concatenate([expected.push(given_pcm), expected.finish()], axis=-1).reshape(sources * channels, -1)
        cuts = np.sort(rng.integers(0, pcm.shape[1] + 1, int(rng.integers(0, 6))))
        pieces = [piece for block in np.split(pcm, cuts, axis=1) for piece in found.push(block)]
        np.testing.assert_array_equal(np.concatenate([*pieces, found.finish()], axis=1), whole)


def test_settings_out_of_range_are_refused(library: ctypes.CDLL) -> None:
    memory = np.zeros(1000, np.int16)
    for length, overlap, sources, channels in ((10, 0, 1, 1), (10, 6, 1, 1), (10, 5, 7, 1), (10, 5, 1, 0), (1, 1, 1, 1)):
        asked = _Settings(8000, length, overlap, sources, channels, 0, Run(lambda _: None), None, 0, 0)
        assert library.fq_separator_start(ctypes.byref(_Separator()), ctypes.byref(asked), ctypes.c_void_p(memory.ctypes.data)) == 0
