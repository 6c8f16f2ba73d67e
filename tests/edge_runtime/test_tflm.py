"""TFLite Micro: equal to the reference kernels, inside an arena, in as many passes as its taps take."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tflite_micro.python.tflite_micro.runtime import Interpreter

from edge_runtime import tflm
from edge_runtime.model_file import read_model
from edge_runtime.runtime import open_runtime
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import METADATA, TfliteGraph

ROOT = Path(__file__).parents[2]


def test_tflm_equals_reference_kernels_and_counts_its_arena(tflite_network, pcm):
    reference, micro = open_runtime(tflite_network, "litert-ref"), open_runtime(tflite_network, "tflm")
    expected, found = reference.run_with_taps(pcm), micro.run_with_taps(pcm)
    assert np.array_equal(expected[0], found[0])
    assert expected[1].keys() == found[1].keys()
    for name, tap in expected[1].items():
        assert np.array_equal(tap, found[1][name]), name
    assert 1000 < micro.arena_bytes < 20000
    assert reference.arena_bytes is None


@pytest.mark.parametrize("bytes_at_once", [1, 300, 1 << 20])
def test_tflm_taps_in_groups_are_the_same(tflite_network, pcm, monkeypatch, bytes_at_once):
    expected = open_runtime(tflite_network, "litert-ref").run_with_taps(pcm)
    monkeypatch.setattr(tflm, "_TAPPED_BYTES", bytes_at_once)
    micro = open_runtime(tflite_network, "tflm")
    for _ in range(2):
        output, taps = micro.run_with_taps(pcm)
        assert np.array_equal(output, expected[0])
        assert {name: tap.tolist() for name, tap in taps.items()} == {name: tap.tolist() for name, tap in expected[1].items()}


def test_tflm_taps_more_tensors_than_it_preserves(tmp_path):
    g, count = TfliteGraph(), 1100
    tensors = [g.tensor(f"t{number}", [1, 16], np.int16, 1 / 32768) for number in range(count)]
    order = g.tensor("order", [2], np.int32, data=[0, 1])
    for source, result in pairwise(tensors):
        g.operator("TRANSPOSE", [source, order], [result])
    path = g.write(tmp_path / "long.tflite", [tensors[0]], [tensors[-1]], METADATA.model_copy(update={"segment_samples": 16, "sources": 1}))
    pcm = np.arange(16, dtype=np.int16)
    _, taps = open_runtime(path, "tflm").run_with_taps(pcm)
    assert len(taps) == count - 1
    assert all(np.array_equal(tap[0], pcm) for tap in taps.values())


def test_tflm_arena_grows_until_the_model_fits(tflite_network, pcm, monkeypatch):
    sizes = []

    class Scarce(tflm.Interpreter):
        @classmethod
        def from_bytes(cls, content, arena_size, intrepreter_config):
            sizes.append(arena_size)
            if arena_size < 20_000_000:
                os.write(2, b"Failed to allocate tail memory. Requested: 360")
                raise RuntimeError("TFLM failed to allocate tensors")
            return super().from_bytes(content, arena_size=arena_size, intrepreter_config=intrepreter_config)

    expected = open_runtime(tflite_network, "tflm").run(pcm)
    monkeypatch.setattr(tflm, "Interpreter", Scarce)
    assert np.array_equal(open_runtime(tflite_network, "tflm").run(pcm), expected)
    assert len(sizes) > 2
    assert all(later == 2 * size for size, later in pairwise(sizes))


def test_tflm_loads_more_tensors_than_fit_at_once(tflite_graph, tmp_path, monkeypatch):
    """They share the arena; what no arena can hold is one operator's tensors."""
    g, pcm = tflite_graph(), np.arange(8000, dtype=np.int16)
    chain = [g.tensor(f"t{place}", [1, 1, 8000], np.int16, scale=2**-15) for place in range(300)]
    for source, result in pairwise(chain):
        g.operator("RESHAPE", [source, g.tensor(f"s{result}", [3], np.int32, data=[1, 1, 8000])], [result])
    path = g.write(tmp_path / "chain.tflite", [chain[0]], [chain[-1]])
    monkeypatch.setattr(tflm, "_LARGEST_ARENA", 3_000_000)
    assert sum(tensor.nbytes for tensor in read_model(path).activations) > 4_000_000
    assert np.array_equal(open_runtime(path, "tflm", sample_rate=8000).run(pcm), pcm[None])
    monkeypatch.setattr(tflm, "_LARGEST_ARENA", 20_000)
    with pytest.raises(UserError, match=r"the tensors of one operator take 32\d{3} bytes, more than the 20000 that an arena may have"):
        open_runtime(path, "tflm", sample_rate=8000)


def test_a_file_of_one_step_loads_in_the_arena_that_is_told() -> None:
    """Its plan needs more than what is in use afterwards; the bytes told are those of the libraries of kernels that ask for the most."""
    file = read_model(ROOT / "edge_runtime" / "models" / "convtasnet-tiny.stream.tflite")
    told = tflm.TflmEngine(file).arena_bytes
    assert told is not None
    Interpreter.from_bytes(file.content, arena_size=told)
    with pytest.raises(RuntimeError):
        Interpreter.from_bytes(file.content, arena_size=int(0.93 * told))
