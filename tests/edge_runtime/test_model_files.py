"""Files that are not what they should be: other signatures, contradicting metadata, damage."""

import subprocess
import sys

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.model_file import ModelFile, TensorInfo, read_model
from edge_runtime.runtime import open_runtime
from edge_runtime.signature import fit_signature
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import METADATA, write_loop_model


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


def test_a_damaged_loop_is_told(tmp_path):
    model = schema.ModelT.InitFromPackedBuf(bytearray(write_loop_model(tmp_path / "loop.tflite").read_bytes()), 0)
    model.buffers[model.subgraphs[2].tensors[4].buffer].data = np.zeros(3, np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "bad.tflite").write_bytes(bytes(builder.Output()))
    with pytest.raises(UserError, match=r"the constant 'one' int32 .* holds 3 bytes instead of 4"):
        read_model(tmp_path / "bad.tflite")


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
