"""Every adapter against arithmetic written here, against each other, and on files that are not what they should be."""

import os
import subprocess
import sys
from itertools import pairwise

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime import tflm
from edge_runtime.model_file import ModelFile, TensorInfo, read_model
from edge_runtime.onnxruntime_adapter import _filter_as_channels
from edge_runtime.runtime import open_runtime
from edge_runtime.signature import fit_signature
from edge_runtime.tflite_file import channels_first
from export_specs.foundation.errors import UserError
from export_specs.schema import RUNTIMES
from tests.edge_runtime.conftest import LOOP_STEPS, METADATA, TfliteGraph, write_loop_model


@pytest.fixture(params=RUNTIMES)
def network(request, tflite_network, onnx_network):
    return open_runtime(onnx_network if request.param == "onnxruntime" else tflite_network, request.param)


def _real(taps, runtime, name):
    quantization = runtime.quantization[name]
    return quantization.scale[0] * (taps[name].astype(np.float64) - quantization.zero_point[0])


def _codes(value, runtime, name, dtype=np.int8):
    quantization = runtime.quantization[name]
    bounds = np.iinfo(dtype)
    return np.clip(np.rint(value / quantization.scale[0]) + quantization.zero_point[0], bounds.min, bounds.max)


def test_each_inner_tensor_follows_from_the_one_before(network, pcm):
    rng = np.random.default_rng(1)
    first = rng.integers(-127, 128, (3, 1, 3)) * np.array([0.011, 0.007, 0.009])[:, None, None]
    second = rng.integers(-127, 128, (2, 3, 1)) * np.array([0.012, 0.008])[:, None, None]
    output, taps = network.run_with_taps(pcm)
    assert {name: taps[name].shape for name in "qcrde"} == {
        "q": (1, 1, 64),
        "c": (1, 3, 64),
        "r": (1, 3, 64),
        "d": (1, 2, 64),
        "e": (1, 2, 64),
    }
    padded = np.pad(_real(taps, network, "q")[0, 0], 1)
    expected = {
        "q": pcm[None, None] / 32768,
        "c": np.stack([sum(kernel[0, k] * padded[k : k + 64] for k in range(3)) for kernel in first])[None],
        "r": np.where((c := _real(taps, network, "c")) > 0, c, 0.3 * c),
        "d": np.einsum("oi,nit->not", second[:, :, 0], _real(taps, network, "r")),
    }
    for name, value in expected.items():
        assert taps[name].dtype == np.int8
        difference = np.abs(taps[name] - _codes(value, network, name))
        assert difference.max() <= 1, name
        assert (difference > 0).mean() < 0.15, name
    assert np.abs(taps["e"] - _codes(_real(taps, network, "d"), network, "e", np.int16)).max() <= 1
    assert np.array_equal(output, taps["e"][0])


@pytest.mark.parametrize("name", RUNTIMES[1:])
def test_a_loop_runs_and_its_results_are_tapped(name, tmp_path, pcm):
    path = write_loop_model(tmp_path / "loop.tflite")
    file = read_model(path)
    assert file.ops == {"WHILE": 1, "LESS": 1, "ADD": 1, "MUL": 1, "RESHAPE": 1, "CONCATENATION": 1}
    assert file.dtypes == {"int16": 8, "int32": 8, "bool": 1}
    output, taps = open_runtime(path, name).run_with_taps(pcm)
    assert list(taps) == ["last", "halved", "row", "separated"]
    assert taps["last"] == [LOOP_STEPS]
    assert np.abs(output - pcm / 2**LOOP_STEPS).max() < 1
    assert np.array_equal(taps["halved"][0], output[0])


def test_a_damaged_loop_is_told(tmp_path):
    model = schema.ModelT.InitFromPackedBuf(bytearray(write_loop_model(tmp_path / "loop.tflite").read_bytes()), 0)
    model.buffers[model.subgraphs[2].tensors[4].buffer].data = np.zeros(3, np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "bad.tflite").write_bytes(bytes(builder.Output()))
    with pytest.raises(UserError, match=r"the constant 'one' int32 .* holds 3 bytes instead of 4"):
        read_model(tmp_path / "bad.tflite")


def test_a_scalar_has_the_bytes_of_one_value():
    assert TensorInfo("axis", (), "int32").nbytes == 4
    assert TensorInfo("open", (-1, 3), "int16").nbytes == 6


def test_taps_change_nothing(network, pcm):
    assert np.array_equal(network.run(pcm), network.run_with_taps(pcm)[0])
    assert network.run(pcm).dtype == np.int16
    assert network.run(pcm).shape == (2, 64)


def test_outputs_belong_to_the_caller(network, pcm):
    first = network.run(pcm)
    kept = first.copy()
    network.run(np.zeros_like(pcm))
    assert np.array_equal(first, kept)


def test_metadata(network):
    assert (network.sample_rate, network.segment_samples, network.sources) == (8000, 64, 2)
    assert network.file.metadata == METADATA
    assert network.shortest_samples == 16
    assert network.quantization["r"].scale[0] == np.float32(0.0123)
    assert network.quantization["r"].zero_point[0] == -7


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


def test_wrong_segment_is_refused(network, pcm):
    for wrong in (pcm[:-1], pcm.astype(np.int32), pcm[None]):
        with pytest.raises(ValueError, match=r"int16 \[64\]"):
            network.run(wrong)


@pytest.mark.parametrize("runtime", ["litert-ref", "litert-opt", "litert-xnnpack"])
def test_float_model(doubling, pcm, runtime):
    opened = open_runtime(doubling("float32"), runtime)
    output, taps = opened.run_with_taps(pcm)
    assert np.array_equal(output, [pcm, pcm])
    assert not taps


def test_int8_model_rounds_and_saturates(doubling, pcm):
    output = open_runtime(doubling("int8", 0.005, 3), "litert-ref").run(pcm)
    codes = np.clip(np.rint(pcm / 32768 / np.float32(0.005)) + 3, -128, 127)
    assert np.array_equal(output[0], np.clip(np.rint((codes - 3) * np.float64(np.float32(0.005)) * 32768), -32768, 32767))
    assert np.array_equal(output[0], output[1])


def test_layouts():
    body = np.arange(24).reshape(1, 8, 1, 3)
    assert channels_first(body).shape == (1, 3, 8)
    assert channels_first(body)[0, 2, 5] == body[0, 5, 0, 2]
    assert channels_first(np.zeros((1, 2, 64))).shape == (1, 2, 64)
    assert channels_first(np.zeros(5)).shape == (5,)
    assert _filter_as_channels(np.zeros((7, 1, 1))).shape == (1, 7, 1) == channels_first(np.zeros((1, 1, 1, 7))).shape


def _file(inputs, outputs, tmp_path):
    return ModelFile(tmp_path / "some.tflite", "tflite", b"", inputs, outputs, (), 0, None, None, {})


@pytest.mark.parametrize(
    ("shape", "sources", "time_last"), [((1, 2, 64), 2, True), ((1, 64, 3), 3, False), ((64,), 1, True), ((1, 1, 64, 1), 1, True)]
)
def test_output_shapes(shape, sources, time_last, tmp_path):
    signature = fit_signature(_file((TensorInfo("x", (1, 64, 1), "float32"),), (TensorInfo("y", shape, "float32"),), tmp_path))
    assert (signature.sources, signature.time_last) == (sources, time_last)
    values = np.random.default_rng(0).uniform(-1.1, 1.1, (sources, 64)).astype(np.float32)
    decoded = signature.decode((values if time_last else values.T).reshape(shape))
    assert np.array_equal(decoded, np.clip(np.rint(values.astype(np.float64) * 32768), -32768, 32767))


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ((1, -1), "int16", "not fixed"),
        ((8, 8), "int16", "2 axes"),
        ((1, 64), "int64", "no type for PCM"),
        ((1, 64), "int8", "no scale"),
        ((1, 32), "int16", "of 32 samples"),
    ],
)
def test_other_signatures_are_refused(shape, dtype, reason, tmp_path):
    with pytest.raises(UserError, match=reason) as caught:
        fit_signature(_file((TensorInfo("x", shape, dtype),), (TensorInfo("y", (1, 2, 64), "int16"),), tmp_path))
    assert "Expected one input" in str(caught.value)
    assert f"'x' {dtype}" in str(caught.value)


def test_two_inputs_are_refused(two_inputs):
    with pytest.raises(UserError, match="2 inputs and 1 outputs"):
        open_runtime(two_inputs, "litert-ref", sample_rate=8000)


def test_nan_of_a_float_model(tmp_path):
    signature = fit_signature(_file((TensorInfo("x", (1, 4), "float32"),), (TensorInfo("y", (1, 4), "float32"),), tmp_path))
    with pytest.raises(UserError, match="NaN"):
        signature.decode(np.array([[0, np.nan, 0, 0]], np.float32))


def test_sample_rate_must_be_known(doubling):
    path = doubling(metadata=None)
    with pytest.raises(UserError, match="--sample-rate"):
        open_runtime(path)
    assert open_runtime(path, sample_rate=16000).sample_rate == 16000
    with pytest.raises(UserError, match="8000 samples per second, not 16000"):
        open_runtime(doubling(), sample_rate=16000)


def test_metadata_that_contradicts_the_tensors(doubling):
    with pytest.raises(UserError, match="sources 3, its tensors 2"):
        open_runtime(doubling(metadata=METADATA.model_copy(update={"sources": 3})))
    with pytest.raises(UserError, match="segment_samples 65, its tensors 64"):
        open_runtime(doubling(metadata=METADATA.model_copy(update={"segment_samples": 65})))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"sample_rate": "8000", "sources": "2"}', "made by an older version"),
        ('{"schema_version": 99, "hop": 64}', "made by a newer version.*schema 99"),
        ('{"schema_version": 1, "sample_rate": "fast"}', "damaged: its metadata 'fqss' say"),
        ("not JSON", "damaged"),
    ],
)
def test_metadata_of_other_versions_are_told_apart_from_damage(doubling, text, reason):
    with pytest.raises(UserError, match=reason):
        open_runtime(doubling(metadata=text))


def test_wrong_choice_of_runtime(tflite_network, onnx_network, tmp_path):
    with pytest.raises(UserError, match="litert-opt, litert-ref, litert-xnnpack, onnxruntime, tflm"):
        open_runtime(tflite_network, "tensorrt")
    with pytest.raises(UserError, match=r"TFLITE, which onnxruntime does not run\. Choose one of: litert-ref"):
        open_runtime(tflite_network, "onnxruntime")
    with pytest.raises(UserError, match=r"ONNX, which tflm does not run\. Choose one of: onnxruntime"):
        open_runtime(onnx_network, "tflm")
    with pytest.raises(UserError, match="No such file"):
        open_runtime(tmp_path / "gone.tflite")
    assert open_runtime(tflite_network).name == "litert-xnnpack"
    assert open_runtime(onnx_network).name == "onnxruntime"


def test_op_that_a_runtime_lacks(tflite_graph, tmp_path):
    g = tflite_graph()
    x, y = g.tensor("x", [1, 8], np.float32), g.tensor("y", [1, 8], np.float32)
    g.operator("GELU", [x], [y], "GeluOptions")
    path = g.write(tmp_path / "gelu.tflite", [x], [y])
    with pytest.raises(UserError, match=r"TFLM cannot load .*GELU"):
        open_runtime(path, "tflm", sample_rate=8000)


@pytest.mark.parametrize("length", [0, 3, 20, 200, 0.5, -1])
def test_truncated_files(tflite_network, onnx_network, length):
    for path in (tflite_network, onnx_network):
        content = path.read_bytes()
        path.write_bytes(content[: int(length * len(content)) if isinstance(length, float) else length])
        with pytest.raises(UserError, match=r"network\.(tflite|onnx)"):
            open_runtime(path, sample_rate=8000)


_DAMAGE = """
import random, sys
from pathlib import Path
from edge_runtime.runtime import open_runtime
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import TfliteGraph
path = Path(sys.argv[1]); whole = path.read_bytes(); refused = 0
for seed in range(120):
    random.seed(seed); content = bytearray(whole)
    for _ in range(1 + seed % 5): content[random.randrange(8, len(content))] = random.randrange(256)
    path.write_bytes(content)
    for name in sys.argv[2:]:
        try: open_runtime(path, name)
        except UserError: refused += 1
print(refused)
"""


def test_damaged_files_are_refused_without_a_crash(tflite_network):
    run = subprocess.run([sys.executable, "-c", _DAMAGE, tflite_network, "litert-ref", "tflm"], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout) > 50


def test_damage_by_hand(tflite_graph, tmp_path):
    g = tflite_graph()
    x, y = g.tensor("x", [1, 8], np.int16), g.tensor("y", [1, 8], np.int16)
    g.operator("RESHAPE", [x, g.tensor("s", [2], np.int32, data=[1])], [y])
    with pytest.raises(UserError, match=r"'s' int32 .* holds 4 bytes instead of 8"):
        read_model(g.write(tmp_path / "short.tflite", [x], [y]))
