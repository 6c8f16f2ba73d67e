"""The file that comes out: scales verbatim, layout, padding, fused Relu, metadata, signature; read back with LiteRT's own schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export_specs.file_metadata import FileMetadata, read_metadata
from export_specs.layout import Layout
from export_specs.load import load_model
from pipeline.convert.convert import convert
from pipeline.export.qdq import export_qdq
from pipeline.networks.build import build_network
from pipeline.quantization.recipe import Recipe
from pipeline.stages.shipped_weights import WEIGHTS
from pipeline.training.qat import load_quantized
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.runtimes import run_onnx, run_tflite

METADATA = FileMetadata(model="mini", sample_rate=8000, segment_samples=12, sources=3)
BUILTINS = {value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def _read(path: Path) -> tuple[Any, dict[str, Any]]:
    model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
    return model, {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}


def _causal(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    g = QdqGraph()
    scales = rng.uniform(0.003, 0.02, 5).astype(np.float32)
    x = g.dq(g.input("x", (1, 3, 12)), 0.0371, -17)
    codes = rng.integers(-127, 128, (5, 3, 3)).astype(np.int8)
    weight = g.dq(g.const(codes, name="kernel"), scales, 0)
    bias = g.dq(g.const(rng.integers(-99, 99, 5), np.int32, name="bias"), np.float32(0.0371) * scales, 0, "int32")
    y = g.op("Conv", x, weight, bias, pads=[4, 0], dilations=[2])
    g.q(g.op("Relu", y), 0.0213, -100, out="y")
    other = g.op("Conv", x, g.weight(codes, scales), pads=[4, 0], dilations=[2])
    g.q(other, 0.07, 5, out="z")
    g.metadata = METADATA
    return g.save(tmp_path / "m.onnx", {"y": ("int8", (1, 5, 12)), "z": ("int8", (1, 5, 12))}), codes, scales


def test_parameters_are_verbatim_and_layout_is_channels_last(tmp_path: Path) -> None:
    source, codes, scales = _causal(tmp_path)
    convert(source, tmp_path / "m.tflite")
    model, tensors = _read(tmp_path / "m.tflite")
    kernel, bias, y = tensors["kernel"], tensors["bias"], tensors["y"]
    assert list(tensors["x"].shape) == [1, 12, 1, 3]
    assert list(kernel.shape) == [5, 3, 1, 3]
    np.testing.assert_array_equal(kernel.quantization.scale, scales)
    assert kernel.quantization.quantizedDimension == 0
    stored = np.asarray(model.buffers[kernel.buffer].data, np.uint8).view(np.int8).reshape(5, 3, 1, 3)
    np.testing.assert_array_equal(stored[:, :, 0].transpose(0, 2, 1), codes)
    assert bias.type == schema.TensorType.INT32
    np.testing.assert_array_equal(bias.quantization.scale, np.ones(5, np.float32))  # steps of the accumulator
    assert (y.quantization.scale[0], y.quantization.zeroPoint[0]) == (np.float32(0.0213), -100)
    types = {tensor.type for tensor in tensors.values()}
    assert types <= {schema.TensorType.INT8, schema.TensorType.INT16, schema.TensorType.INT32}


def test_causal_padding_is_one_shared_pad_and_relu_is_fused(tmp_path: Path) -> None:
    source, _, _ = _causal(tmp_path)
    summary = convert(source, tmp_path / "m.tflite")
    assert summary.op_counts == {"CONV_2D": 2, "PAD": 1}
    model, _ = _read(tmp_path / "m.tflite")
    activations = [
        op.builtinOptions.fusedActivationFunction for op in model.subgraphs[0].operators if hasattr(op.builtinOptions, "dilationHFactor")
    ]
    assert sorted(activations) == [schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU]
    x = np.random.default_rng(1).integers(-128, 128, (1, 3, 12)).astype(np.int8)
    expected, got = run_onnx(source, {"x": x}), run_tflite(tmp_path / "m.tflite", "ref", {"x": x})
    for name, value in expected.items():
        assert np.abs(got[name].astype(int) - value).max() <= 1


def test_metadata_signature_and_alignment(tmp_path: Path) -> None:
    source, _, _ = _causal(tmp_path)
    convert(source, tmp_path / "m.tflite")
    content = (tmp_path / "m.tflite").read_bytes()
    model, _ = _read(tmp_path / "m.tflite")
    (entry,) = model.metadata
    assert entry.name == b"fqss"
    assert read_metadata(bytes(model.buffers[entry.buffer].data), "m.tflite") == METADATA.model_copy(
        update={"computed_layouts": ((Layout.PLAIN, 1), (Layout.FRAMES, 2))}
    )
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) >= 15:
            assert any(found % 16 == 0 for found in _positions(content, bytes(buffer.data)))
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    x = np.zeros((1, 12, 1, 3), np.int8)
    assert set(runner(x=x)) == {"y", "z"}


def _positions(content: bytes, part: bytes) -> list[int]:
    found, start = [], content.find(part)
    while start >= 0:
        found.append(start)
        start = content.find(part, start + 1)
    return found


def test_equal_parts_lie_in_the_file_once(tmp_path: Path) -> None:
    rng, g = np.random.default_rng(2), QdqGraph()
    codes, scales = rng.integers(-127, 128, (64, 64, 1)).astype(np.int8), rng.uniform(0.003, 0.02, 64).astype(np.float32)
    x = g.dq(g.input("x", (1, 64, 12)), 0.0371, -17)
    for name in ("a", "b", "c"):
        bias = g.dq(g.const(np.arange(64), np.int32), np.float32(0.0371) * scales, 0, "int32")
        g.q(g.op("Conv", x, g.dq(g.const(codes), scales, 0), bias), 0.0213, -100, out=name)
    source = g.save(tmp_path / "m.onnx", dict.fromkeys(("a", "b", "c"), ("int8", (1, 64, 12))))
    summary = convert(source, tmp_path / "m.tflite")
    content = (tmp_path / "m.tflite").read_bytes()
    for part in (codes.tobytes(), scales.tobytes(), np.arange(64, dtype=np.int32).tobytes(), np.zeros(64, np.int64).tobytes()):
        assert content.count(part) == 1
    assert summary.tensors == 6
    assert set(Interpreter(model_content=content).get_signature_runner("serving_default").get_output_details()) == {"a", "b", "c"}


def test_same_file_twice(tmp_path: Path) -> None:
    source, _, _ = _causal(tmp_path)
    convert(source, tmp_path / "a.tflite")
    convert(source, tmp_path / "b.tflite")
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_the_edge_network_keeps_its_size(tmp_path: Path) -> None:
    """Conv-TasNet's own bar, tighter than the gate's."""
    spec = load_model("convtasnet")
    network = load_quantized(spec, Recipe("fqss", "scalar-gain"), WEIGHTS / "convtasnet" / "qat-fqss-scalar-gain-full.safetensors")
    export_qdq(network, FileMetadata.of(spec), tmp_path / "model.onnx")
    summary = convert(tmp_path / "model.onnx", tmp_path / "model.tflite")
    assert summary.bytes <= 1.15 * sum(weight.numel() for weight in build_network(spec).parameters()) + 72 * 1024
