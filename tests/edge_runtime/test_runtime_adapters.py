"""Every adapter against arithmetic written here, and against each other."""

import numpy as np
import pytest

from edge_runtime.model_file import TensorInfo, read_model
from edge_runtime.runtime import open_runtime
from edge_runtime.tflite_file import as_in_onnx
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout
from export_specs.schema import RUNTIMES
from tests.edge_runtime.conftest import LOOP_STEPS, METADATA, write_loop_model


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
    tensor = np.arange(24).reshape(1, 8, 1, 3)
    for layout in (Layout.FRAMES, None):  # what a foreign file does not tell is taken for frames
        assert as_in_onnx(tensor, layout).shape == (1, 3, 8)
        assert as_in_onnx(tensor, layout)[0, 2, 5] == tensor[0, 5, 0, 2]
    assert as_in_onnx(tensor, Layout.PLANE).shape == (1, 3, 8, 1)
    assert as_in_onnx(tensor, Layout.PLANE)[0, 2, 5, 0] == tensor[0, 5, 0, 2]
    assert as_in_onnx(tensor, Layout.PLAIN) is tensor
    assert as_in_onnx(np.zeros((1, 1, 1, 7)), Layout.FILTER).shape == (7, 1, 1)
    for shape in ((1, 2, 64), (5,)):
        assert as_in_onnx(np.zeros(shape), None).shape == shape


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
