"""Tiny models, written here op by op: TFLite through the schema's object interface, ONNX through onnx.helper."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from export_specs.file_metadata import FileMetadata

SAMPLES = 64
METADATA = FileMetadata(model="tiny", sample_rate=8000, segment_samples=SAMPLES, sources=2, target="test")
PCM_SCALE = 1 / 32768


class TfliteGraph:
    """A main graph and, through ``subgraph``, those that its loops run; tensors and operators are added in order."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers = [schema.BufferT()]

    def subgraph(self) -> TfliteGraph:
        """A further graph of the same file."""
        inner = copy.copy(self)
        inner.graph = schema.SubGraphT()
        inner.graph.tensors, inner.graph.operators = [], []
        self.model.subgraphs.append(inner.graph)
        return inner

    def ends(self, inputs, outputs) -> None:
        self.graph.inputs, self.graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)

    def tensor(self, name, shape, dtype, scale=None, zero_point=0, data=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, np.array(shape, np.int32)
        tensor.type = getattr(schema.TensorType, np.dtype(dtype).name.upper())
        tensor.buffer = 0 if data is None else self.buffer(np.asarray(data, dtype).tobytes())
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.float32(scale))
            tensor.quantization.zeroPoint = np.full(tensor.quantization.scale.shape, zero_point, np.int64)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def operator(self, name, inputs, outputs, options=None, **settings):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 3 if "CONV" in name else 1
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for key, value in settings.items():
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)

    def write(self, path: Path, inputs, outputs, metadata=None) -> Path:
        self.ends(inputs, outputs)
        if metadata is not None:
            entry = schema.MetadataT()
            entry.name, entry.buffer = "fqss", self.buffer(_text(metadata).encode())
            self.model.metadata = [entry]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def _text(metadata: FileMetadata | str) -> str:
    """The document, or any text in its place."""
    return metadata if isinstance(metadata, str) else metadata.to_json()


def _weights():
    rng = np.random.default_rng(1)
    return rng.integers(-127, 128, (3, 1, 3)), rng.integers(-127, 128, (2, 3, 1))  # [O, I, k]


NETWORK_SCALES = {"q": (1 / 100, 0), "c": (0.017, 5), "r": (0.0123, -7), "d": (0.021, 3), "e": (1 / 9000, 0)}
WEIGHT_SCALES = (np.array([0.011, 0.007, 0.009]), np.array([0.012, 0.008]))


def write_tflite_network(path: Path, metadata=METADATA) -> Path:
    """int16 [1, T] -> conv of 3 taps -> leaky ReLU -> pointwise conv -> int16 [1, 2, T]; channels last within."""
    g = TfliteGraph()
    scales = NETWORK_SCALES
    w1, w2 = _weights()
    pcm = g.tensor("pcm", [1, SAMPLES], np.int16, PCM_SCALE)
    column = g.tensor("column", [1, SAMPLES, 1, 1], np.int16, PCM_SCALE)
    g.operator("RESHAPE", [pcm, g.tensor("to_column", [4], np.int32, data=[1, SAMPLES, 1, 1])], [column])
    q = g.tensor("q", [1, SAMPLES, 1, 1], np.int8, *scales["q"])
    g.operator("QUANTIZE", [column], [q])
    convolution = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "padding": schema.Padding.SAME}
    filters = g.tensor("w1", [3, 3, 1, 1], np.int8, WEIGHT_SCALES[0], data=w1.transpose(0, 2, 1)[:, :, None, :])
    bias = g.tensor("b1", [3], np.int32, WEIGHT_SCALES[0] * scales["q"][0], data=[0, 0, 0])
    c = g.tensor("c", [1, SAMPLES, 1, 3], np.int8, *scales["c"])
    g.operator("CONV_2D", [q, filters, bias], [c], "Conv2DOptions", **convolution)
    r = g.tensor("r", [1, SAMPLES, 1, 3], np.int8, *scales["r"])
    g.operator("LEAKY_RELU", [c], [r], "LeakyReluOptions", alpha=0.3)
    filters = g.tensor("w2", [2, 1, 1, 3], np.int8, WEIGHT_SCALES[1], data=w2.transpose(0, 2, 1)[:, :, None, :])
    bias = g.tensor("b2", [2], np.int32, WEIGHT_SCALES[1] * scales["r"][0], data=[0, 0])
    d = g.tensor("d", [1, SAMPLES, 1, 2], np.int8, *scales["d"])
    g.operator("CONV_2D", [r, filters, bias], [d], "Conv2DOptions", **convolution)
    e = g.tensor("e", [1, SAMPLES, 1, 2], np.int16, *scales["e"])
    g.operator("QUANTIZE", [d], [e])
    rows = g.tensor("rows", [1, 2, SAMPLES, 1], np.int16, *scales["e"])
    g.operator("TRANSPOSE", [e, g.tensor("order", [4], np.int32, data=[0, 3, 1, 2])], [rows])
    separated = g.tensor("separated", [1, 2, SAMPLES], np.int16, PCM_SCALE)
    g.operator("RESHAPE", [rows, g.tensor("to_rows", [3], np.int32, data=[1, 2, SAMPLES])], [separated])
    return g.write(path, [pcm], [separated], metadata)


def write_onnx_network(path: Path, metadata=METADATA) -> Path:
    """The same network as QDQ ONNX: [1, C, T] within, the same tensor names, raw int16 at both ends."""
    nodes, constants = [], []

    def constant(name, value, dtype):
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def scale_of(name, dtype):
        scale, zero_point = NETWORK_SCALES.get(name, (PCM_SCALE, 0))
        return [constant(f"{name}_s_{len(nodes)}", scale, np.float32), constant(f"{name}_z_{len(nodes)}", zero_point, dtype)]

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def dequantize(name, dtype=np.int8):
        return node("DequantizeLinear", [name, *scale_of(name, dtype)], f"{name}_f{len(nodes)}")

    def quantize(value, name, dtype=np.int8):
        return node("QuantizeLinear", [value, *scale_of(name, dtype)], name)

    def weight(name, codes, scale):
        inputs = [
            constant(name, codes, np.int8),
            constant(name + "_s", scale, np.float32),
            constant(name + "_z", np.zeros(len(scale)), np.int8),
        ]
        return node("DequantizeLinear", inputs, name + "_f", axis=0)

    w1, w2 = _weights()
    node("Reshape", ["pcm", constant("column_shape", [1, 1, SAMPLES], np.int64)], "column")
    quantize(dequantize("column", np.int16), "q")
    quantize(node("Conv", [dequantize("q"), weight("w1", w1, WEIGHT_SCALES[0])], "c_f", pads=[1, 1]), "c")
    quantize(node("LeakyRelu", [dequantize("c")], "r_f", alpha=0.3), "r")
    quantize(node("Conv", [dequantize("r"), weight("w2", w2, WEIGHT_SCALES[1])], "d_f"), "d")
    quantize(dequantize("d"), "e", np.int16)
    node("Reshape", ["e", constant("rows_shape", [1, 2, SAMPLES], np.int64)], "separated")
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pcm", TensorProto.INT16, [1, SAMPLES])],
        [helper.make_tensor_value_info("separated", TensorProto.INT16, [1, 2, SAMPLES])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    helper.set_model_props(model, {"fqss": _text(metadata)})
    onnx.save(model, path)
    return path


def write_doubling_model(path: Path, dtype="int16", scale=PCM_SCALE, zero_point=0, metadata=METADATA) -> Path:
    """[1, T] -> [1, 2, T] with both sources equal to the input."""
    g = TfliteGraph()
    quantization = () if dtype == "float32" else (scale, zero_point)
    pcm = g.tensor("pcm", [1, SAMPLES], dtype, *quantization)
    row = g.tensor("row", [1, 1, SAMPLES], dtype, *quantization)
    g.operator("RESHAPE", [pcm, g.tensor("shape", [3], np.int32, data=[1, 1, SAMPLES])], [row])
    separated = g.tensor("separated", [1, 2, SAMPLES], dtype, *quantization)
    g.operator("CONCATENATION", [row, row], [separated], "ConcatenationOptions", axis=1)
    return g.write(path, [pcm], [separated], metadata)


LOOP_STEPS = 3


def write_loop_model(path: Path, stray_float=False, metadata=METADATA) -> Path:
    """[1, T] -> [1, 2, T]: a WHILE halves the input LOOP_STEPS times; the body may hold a float tensor that nothing reads."""
    g = TfliteGraph()

    def variables(part):
        return [part.tensor("t", [1], np.int32), part.tensor("row", [1, SAMPLES], np.int16, PCM_SCALE)]

    condition = g.subgraph()
    state = variables(condition)
    more = condition.tensor("more", [1], np.bool_)
    condition.operator("LESS", [state[0], condition.tensor("steps", [1], np.int32, data=[LOOP_STEPS])], [more], "LessOptions")
    condition.ends(state, [more])
    body = g.subgraph()
    state = variables(body)
    following, halved = variables(body)
    body.operator("ADD", [state[0], body.tensor("one", [1], np.int32, data=[1])], [following], "AddOptions")
    half = body.tensor("half", [1, 1], np.int16, 2.0**-15, data=[1 << 14])
    body.operator("MUL", [state[1], half], [halved], "MulOptions")
    if stray_float:
        body.tensor("stray", [2], np.float32, data=[1, 2])
    body.ends(state, [following, halved])
    pcm = g.tensor("pcm", [1, SAMPLES], np.int16, PCM_SCALE)
    last = [g.tensor("last", [1], np.int32), g.tensor("halved", [1, SAMPLES], np.int16, PCM_SCALE)]
    begin = g.tensor("begin", [1], np.int32, data=[0])
    g.operator("WHILE", [begin, pcm], last, "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2)
    row = g.tensor("row", [1, 1, SAMPLES], np.int16, PCM_SCALE)
    g.operator("RESHAPE", [last[1], g.tensor("shape", [3], np.int32, data=[1, 1, SAMPLES])], [row])
    separated = g.tensor("separated", [1, 2, SAMPLES], np.int16, PCM_SCALE)
    g.operator("CONCATENATION", [row, row], [separated], "ConcatenationOptions", axis=1)
    return g.write(path, [pcm], [separated], metadata)


def write_two_input_model(path: Path) -> Path:
    g = TfliteGraph()
    a, b, c = (g.tensor(name, [1, SAMPLES], np.float32) for name in ("a", "b", "sum"))
    g.operator("ADD", [a, b], [c], "AddOptions")
    return g.write(path, [a, b], [c])


@pytest.fixture
def tflite_graph() -> type[TfliteGraph]:
    return TfliteGraph


@pytest.fixture
def tflite_network(tmp_path: Path) -> Path:
    return write_tflite_network(tmp_path / "network.tflite")


@pytest.fixture
def onnx_network(tmp_path: Path) -> Path:
    return write_onnx_network(tmp_path / "network.onnx")


@pytest.fixture
def doubling(tmp_path: Path) -> Callable[..., Path]:
    return lambda *args, **kwargs: write_doubling_model(tmp_path / "doubling.tflite", *args, **kwargs)


@pytest.fixture
def two_inputs(tmp_path: Path) -> Path:
    return write_two_input_model(tmp_path / "two.tflite")


@pytest.fixture
def pcm() -> np.ndarray:
    """One segment of noise at full level, int16 [T]."""
    return np.random.default_rng(0).integers(-32768, 32768, SAMPLES).astype(np.int16)
