"""Structure, accounting, inner tensors and golden inputs on a network small enough to be counted by hand."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_runtime.model_file import read_model
from export_specs.foundation.errors import UserError
from tests.edge_runtime.conftest import LOOP_STEPS, SAMPLES, write_loop_model, write_onnx_network, write_tflite_network
from tests.edge_runtime.conftest import TfliteGraph as TfliteWriter
from validation.accounting import count_onnx_float, count_tflite
from validation.golden_inputs import forced_onnx, forced_tflite
from validation.golden_vectors import write_golden_vectors
from validation.layers import TensorStatistics, compare_runtime, golden_taps
from validation.structure import audit
from validation.tflite_graph import TfliteGraph

RATE = 8000


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    return write_tflite_network(tmp_path / "n.tflite")


@pytest.fixture
def qdq(tmp_path: Path) -> Path:
    return write_onnx_network(tmp_path / "n.onnx")


@pytest.fixture
def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(-32768, 32768, SAMPLES).astype(np.int16) for _ in range(3)]


def test_structure_is_read_from_the_file(tflite: Path, qdq: Path) -> None:
    found = audit(tflite, ["CONV_2D", "QUANTIZE", "LEAKY_RELU", "RESHAPE"])
    assert (found.io_int16, found.float_tensors, found.custom_ops, len(found.transposed), found.reshapes) == (True, [], [], 1, 2)
    assert found.refused_ops == {"TRANSPOSE": 1}
    assert found.ops == {"RESHAPE": 2, "QUANTIZE": 2, "CONV_2D": 2, "LEAKY_RELU": 1, "TRANSPOSE": 1}
    assert found.dtypes == {"int8": 6, "int32": 5, "int16": 5}
    assert audit(qdq, []).float_tensors == [] and audit(qdq, []).io_int16


def test_structure_sees_floats(tmp_path: Path, qdq: Path) -> None:
    from tests.edge_runtime.conftest import write_doubling_model

    found = audit(write_doubling_model(tmp_path / "f.tflite", "float32"), [])
    assert found.float_tensors == ["pcm", "row", "separated"] and not found.io_int16
    model = onnx.load(qdq)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float32), "left in float"))
    onnx.save(model, qdq)
    assert audit(qdq, []).float_tensors == ["left in float"]


def test_structure_looks_into_loops(tmp_path: Path) -> None:
    found = audit(write_loop_model(tmp_path / "l.tflite"), ["WHILE", "LESS", "ADD", "RESHAPE", "CONCATENATION"])
    assert found.ops == {"WHILE": 1, "LESS": 1, "ADD": 1, "MUL": 1, "RESHAPE": 1, "CONCATENATION": 1}
    assert found.refused_ops == {"MUL": 1} and found.float_tensors == []
    assert found.dtypes == {"int32": 8, "int16": 8, "bool": 1}
    assert audit(write_loop_model(tmp_path / "f.tflite", stray_float=True), []).float_tensors == ["stray"]


def test_structure_looks_into_the_body_of_a_scan(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    step = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("s", "e", "s2", "y")]
    nodes = [helper.make_node("Add", ["s", "left"], ["s2"]), helper.make_node("Mul", ["e", "s"], ["y"])]
    body = helper.make_graph(nodes, "step", step[:2], step[2:], [onnx.numpy_helper.from_array(np.ones(3, np.float32), "left")])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [5, 3]) for name in ("x", "ys")]
    start = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "start")
    scan = helper.make_node("Scan", ["start", "x"], ["end", "ys"], body=body, num_scan_inputs=1)
    onnx.save(helper.make_model(helper.make_graph([scan], "g", ends[:1], ends[1:], [start])), tmp_path / "s.onnx")
    found = audit(tmp_path / "s.onnx", [])
    assert found.float_tensors == ["start", "left"]
    assert found.ops == {"Scan": 1, "Add": 1, "Mul": 1}
    assert read_model(tmp_path / "s.onnx").ops == found.ops


def test_what_a_loop_computes_counts_for_every_step(tmp_path: Path) -> None:
    cost = count_tflite(write_loop_model(tmp_path / "l.tflite"), RATE)
    assert cost.macs_by_op == {"MUL": LOOP_STEPS * SAMPLES}
    assert cost.bops == 16 * 16 * cost.macs
    assert cost.constants == 7  # t, steps, one, half and the shape of 3


def test_a_loop_whose_steps_the_file_does_not_tell(tmp_path: Path) -> None:
    graph = TfliteGraph.read(write_loop_model(tmp_path / "l.tflite"))
    less = graph.subgraphs[1].operators[0]
    graph.model.subgraphs[1].operators[0].inputs = np.array(less.inputs[::-1], np.int32)
    del graph.subgraphs[1].operators
    with pytest.raises(UserError, match="how often its WHILE"):
        graph.loop(graph.operators[0])


def test_golden_inputs_of_a_file_with_a_loop(tmp_path: Path, clips: list[np.ndarray]) -> None:
    found = {f.tensor: f for f in forced_tflite(write_loop_model(tmp_path / "l.tflite"), clips)}
    assert found["halved"].op == "WHILE" and all(f.max_lsb == 0 for f in found.values())


def test_macs_by_hand(tflite: Path, qdq: Path) -> None:
    macs = SAMPLES * 3 * 3 + SAMPLES * 2 * 3
    cost = count_tflite(tflite, RATE)
    assert (cost.macs, cost.bops, cost.macs_per_second) == (macs, 64 * macs, macs * RATE / SAMPLES)
    assert cost.macs_by_op == {"CONV_2D": macs}
    assert count_onnx_float(qdq, RATE).macs == macs


@pytest.mark.parametrize("adjoint", [False, True])
def test_macs_of_a_batched_matrix_product(tmp_path: Path, adjoint: bool) -> None:
    """[3, 5, 7] × [3, 7, 11]: 3 · 5 · 7 · 11 products, each added once; the first factor may lie transposed."""
    g = TfliteWriter()
    first = g.tensor("a", [3, 7, 5] if adjoint else [3, 5, 7], np.int8, 0.1)
    second = g.tensor("b", [3, 7, 11], np.int8, 0.1)
    product = g.tensor("c", [3, 5, 11], np.int8, 0.1)
    g.operator("BATCH_MATMUL", [first, second], [product], "BatchMatMulOptions", adjX=adjoint)
    cost = count_tflite(g.write(tmp_path / "m.tflite", [first, second], [product]), RATE, SAMPLES)
    assert cost.macs_by_op == {"BATCH_MATMUL": 3 * 5 * 7 * 11}
    assert cost.bops == 8 * 8 * 3 * 5 * 7 * 11


def test_macs_of_the_other_ops(tmp_path: Path) -> None:
    """Each op by hand: a depthwise convolution, a transposed one, a fully connected layer, a product."""
    g = TfliteWriter()
    x = g.tensor("x", [1, 1, 10, 4], np.int8, 0.1)
    weight = g.tensor("w", [1, 1, 3, 4], np.int8, 0.1, data=np.ones((1, 1, 3, 4)))
    depthwise = g.tensor("d", [1, 1, 10, 4], np.int8, 0.1)
    g.operator("DEPTHWISE_CONV_2D", [x, weight, -1], [depthwise], "DepthwiseConv2DOptions", strideH=1, strideW=1, depthMultiplier=1)
    shape = g.tensor("s", [4], np.int32, data=[1, 1, 20, 2])
    kernel = g.tensor("k", [2, 1, 4, 4], np.int8, 0.1, data=np.ones((2, 1, 4, 4)))
    wide = g.tensor("t", [1, 1, 20, 2], np.int8, 0.1)
    g.operator("TRANSPOSE_CONV", [shape, kernel, depthwise], [wide], "TransposeConvOptions", strideH=1, strideW=2)
    fine, scaled = (g.tensor(name, [1, 1, 20, 2], np.int16, 0.1) for name in ("p", "m"))
    g.operator("MUL", [fine, wide], [scaled], "MulOptions")
    rows = g.tensor("r", [6, 2], np.int8, 0.1, data=np.ones((6, 2)))
    dense = g.tensor("f", [1, 1, 20, 6], np.int8, 0.1)
    g.operator("FULLY_CONNECTED", [wide, rows, -1], [dense], "FullyConnectedOptions")
    count = g.tensor("i", [1, 1, 20, 2], np.int32)
    g.operator("MUL", [count, count], [count], "MulOptions")
    cost = count_tflite(g.write(tmp_path / "o.tflite", [x, fine], [dense, scaled]), RATE, 100)
    expected = {"DEPTHWISE_CONV_2D": 40 * 3, "TRANSPOSE_CONV": 4 * 2 * 20 * 2, "MUL": 40, "FULLY_CONNECTED": 120 * 2}
    assert cost.macs_by_op == expected, "products of int32 are address arithmetic"
    assert cost.bops == 64 * (120 + 320 + 240) + 8 * 16 * 40


def test_published_count_of_the_paper_network(tmp_path: Path) -> None:
    """Encoder and decoder of the paper's Conv-TasNet on one second: 8.2 and 16.4 MMAC (method of its BOPs column)."""
    from onnx import TensorProto, helper

    weights = [
        onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in (("e", (512, 1, 16)), ("d", (512, 1, 16)))
    ]
    nodes = [
        helper.make_node("Conv", ["pcm", "e"], ["x"], strides=[8]),
        helper.make_node("ConvTranspose", ["x", "d"], ["y"], strides=[8]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 8000]) for name in ("pcm", "y")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)), tmp_path / "p.onnx")
    assert count_onnx_float(tmp_path / "p.onnx", RATE).macs_by_op == {"Conv": 512 * 999 * 16, "ConvTranspose": 512 * 8000 * 2}


def test_work_of_a_float_lstm(tmp_path: Path) -> None:
    """Both directions of 64 to 128 channels over 66 sequences of 250 frames: 4 gates × (64 + 128) for each of 2 × 128 outputs."""
    from onnx import TensorProto, helper

    constants = {"w": np.zeros((2, 512, 64), np.float32), "r": np.zeros((2, 512, 128), np.float32)}
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], direction="bidirectional", hidden_size=128)
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [250, 66, 64]), ("y", [250, 2, 66, 128]))
    ]
    onnx.save(helper.make_model(helper.make_graph([node], "lstm", ends[:1], ends[1:], initializers)), tmp_path / "lstm.onnx")
    assert count_onnx_float(tmp_path / "lstm.onnx", RATE).macs_by_op == {"LSTM": 250 * 66 * 2 * 4 * 128 * (64 + 128)}


def test_reference_kernels_and_tflm_are_equal_everywhere(tflite: Path, clips: list[np.ndarray]) -> None:
    golden = golden_taps(tflite, clips, RATE)
    found = compare_runtime(tflite, "tflm", clips, golden, RATE)
    assert found.unequal == [] and found.only_golden == []
    assert {t.tensor for t in found.tensors} >= {"q", "c", "r", "d", "e", "output pcm"}
    assert found.histogram[0] == sum(t.values for t in found.tensors)


def test_a_changed_tensor_is_seen(tflite: Path, clips: list[np.ndarray]) -> None:
    golden = [dict(taps) for taps in golden_taps(tflite, clips, RATE)]
    golden[1]["c"] = np.bitwise_xor(golden[1]["c"], np.int8(1))
    golden[1]["d"] = golden[1]["d"][..., 1:]
    found = compare_runtime(tflite, "tflm", clips, golden, RATE)
    assert found.unequal == ["c", "d"]
    changed = next(t for t in found.tensors if t.tensor == "c")
    assert changed.max_lsb == 1 and changed.share == pytest.approx(1 / 3)


def test_onnx_runtime_is_near(tflite: Path, qdq: Path, clips: list[np.ndarray]) -> None:
    found = compare_runtime(qdq, "onnxruntime", clips, golden_taps(tflite, clips, RATE), RATE)
    assert {"q", "c", "r", "d", "e"} <= {t.tensor for t in found.tensors}
    assert max(t.max_lsb for t in found.tensors if t.tensor in "qcrd") <= 3


def test_tensor_statistics() -> None:
    statistics = TensorStatistics("t", 1)
    statistics.add(np.array([1, 2, 127, -128], np.int8), np.array([1, 3, 122, 127], np.int8))
    found = statistics.result()
    assert found.lsb == [1, 1, 0, 0, 1, 1] and found.max_lsb == 255 and found.share == 0.75 and found.saturation == 0.5
    assert found.sqnr == pytest.approx(10 * np.log10((0 + 1 + 126**2 + 129**2) / (1 + 25 + 255**2)))


def test_golden_inputs_stop_errors_from_being_carried_on(tflite: Path, qdq: Path, clips: list[np.ndarray]) -> None:
    xnnpack = {f.tensor: f for f in forced_tflite(tflite, clips)}
    assert xnnpack["c"].op == "CONV_2D" and all(f.max_lsb <= 1 for f in xnnpack.values())
    onnx_found = {f.tensor: f for f in forced_onnx(qdq, golden_taps(tflite, clips, RATE), clips)}
    assert onnx_found["r"].op == "LeakyRelu" and onnx_found["c"].op == "Conv"
    assert all(onnx_found[name].max_lsb <= 1 for name in "qcrd")


def test_golden_inputs_find_the_op_that_is_wrong_and_no_other(tflite: Path, qdq: Path, clips: list[np.ndarray]) -> None:
    model = onnx.load(qdq)
    next(node for node in model.graph.node if node.op_type == "LeakyRelu").attribute[0].f = 0.5
    onnx.save(model, qdq)
    found = forced_onnx(qdq, golden_taps(tflite, clips, RATE), clips)
    assert [f.tensor for f in found if f.max_lsb > 1] == ["r"]


def test_forced_copy_is_a_sound_file(tflite: Path) -> None:
    content, fed, written = TfliteGraph.read(tflite).forced()
    copy = TfliteGraph(content)
    assert len(copy.inputs) == len(fed) and len(copy.outputs) == len(written)
    assert not {tensor.index for tensor in copy.inputs} & set(written)
    with pytest.raises(UserError, match="not a TFLite file"):
        TfliteGraph(b"nothing at all")


def test_golden_vectors_check_themselves(tflite: Path, tmp_path: Path, clips: list[np.ndarray]) -> None:
    golden = golden_taps(tflite, clips, RATE)
    assert write_golden_vectors(tmp_path / "g.npz", clips, golden, ["c", "d"]) == ["c", "d"]
    with np.load(tmp_path / "g.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["input_1"], clips[1])
        np.testing.assert_array_equal(archive["tensor_2_1"], golden[2]["d"])
        for key, expected in zip(archive["crc_keys"], archive["crc_values"], strict=True):
            assert zlib.crc32(archive[str(key)].tobytes()) == expected
    with pytest.raises(UserError, match="unknown inner tensor 'zz'"):
        write_golden_vectors(tmp_path / "g.npz", clips, golden, ["zz"])
