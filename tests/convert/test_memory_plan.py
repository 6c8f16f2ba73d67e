"""The plan of TFLite Micro's arena in the file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.model_file import read_model
from edge_runtime.tflite_file import with_outputs
from edge_runtime.tflm import TflmEngine
from export_specs.schema import Rewrite
from pipeline.convert.builtin_operators import LOGISTIC, MUL, QUANTIZE, SOFTMAX, BuiltinOperator
from pipeline.convert.convert import convert
from pipeline.convert.flatbuffer import FlatbufferBuilder
from pipeline.layers.lstm.to_onnx import ACROSS, WITHIN
from pipeline.quantization.recipe import Recipe
from tests.conformance.lstm import lstm_case
from tests.conformance.networks import deployed
from tests.tiny import mixtures, quantized_network, tiny_spec

WRITES_OVER = {"ADD", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "QUANTIZE", "RESHAPE", "SOFTMAX", "SUB", "TANH"}
NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
Span = tuple[int, int]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """A small network without and with the plan, and PCM."""
    torch.compiler.set_stance("force_eager")
    folder, spec = tmp_path_factory.mktemp("plan"), tiny_spec()
    deployed(quantized_network(spec, Recipe("fqss", "scalar-gain")), spec, folder)
    rewrites: list[list[Rewrite]] = [[], ["memory-plan"]]
    for name, chosen in zip(("plain", "planned"), rewrites, strict=True):
        convert(folder / "model.qdq.onnx", folder / f"{name}.tflite", rewrites=chosen)
    return folder / "plain.tflite", folder / "planned.tflite", (mixtures(spec, 1, 3) * 32768).numpy().astype(np.int16)


def plan_of(content: bytes) -> list[int]:
    """The offsets, or none."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    for entry in model.metadata:
        if entry.name == b"OfflineMemoryAllocation":
            version, graph, count, *offsets = np.frombuffer(bytes(model.buffers[entry.buffer].data), "<i4").tolist()
            assert (version, graph, count) == (1, 0, len(offsets))
            return offsets
    return []


def test_the_plan_changes_no_sample(files: tuple[Path, Path, np.ndarray]) -> None:
    plain, planned, pcm = files
    outputs = [TflmEngine(read_model(path)).invoke([pcm])[0] for path in (plain, planned)]
    assert outputs[0].any()
    np.testing.assert_array_equal(*outputs)


def test_a_product_takes_the_place_of_its_factor(tmp_path: Path) -> None:
    """TFLM's own planner needs two places for a chain of products, the plan one."""
    size, codes, arenas, outputs = 1 << 16, np.arange(-128, 128, dtype=np.int8), [], []
    for plan_memory in (False, True):
        builder, grid = FlatbufferBuilder(), (np.array([0.5]), np.array([0]))
        half = builder.tensor("half", (1,), np.int8, *grid, data=np.array([1]))
        tensors = [builder.tensor(f"x{number}", (1, size), np.int8, *grid) for number in range(4)]
        for source, result in pairwise(tensors):
            builder.operator(MUL, [source, half], [result], {})
        path = tmp_path / f"{plan_memory}.tflite"
        path.write_bytes(builder.finish({"x": tensors[0]}, {"y": tensors[-1]}, "", None, plan_memory=plan_memory))
        engine = TflmEngine(read_model(path))
        arenas.append(engine.arena_bytes or 0)
        outputs.append(engine.invoke([np.resize(codes, (1, size))])[0])
    assert size <= arenas[0] - arenas[1] <= size + 64
    np.testing.assert_array_equal(*outputs)
    assert np.unique(outputs[0]).size > 30


def one_after_the_other(builtin: BuiltinOperator, path: Path, plan_memory: bool) -> TflmEngine:
    """Three operators of one input in a row, on 256 rows of 256 codes."""
    builder = FlatbufferBuilder()
    tensors = [builder.tensor(f"x{number}", (1, 256, 256), np.int8, np.array([1 / 256]), np.array([-128])) for number in range(4)]
    for source, result in pairwise(tensors):
        builder.operator(builtin, [source], [result], {"beta": 40.0} if builtin is SOFTMAX else {})
    path.write_bytes(builder.finish({"x": tensors[0]}, {"y": tensors[-1]}, "", None, plan_memory=plan_memory))
    return TflmEngine(read_model(path))


@pytest.mark.parametrize("builtin", [SOFTMAX, LOGISTIC, QUANTIZE], ids=lambda builtin: str(builtin.name))
def test_an_operator_of_one_input_writes_where_it_reads(builtin: BuiltinOperator, tmp_path: Path) -> None:
    engines = [one_after_the_other(builtin, tmp_path / f"{plan_memory}.tflite", plan_memory) for plan_memory in (False, True)]
    codes = np.random.default_rng(0).integers(-128, 128, (1, 256, 256)).astype(np.int8)
    outputs = [engine.invoke([codes])[0] for engine in engines]
    np.testing.assert_array_equal(*outputs)
    assert np.unique(outputs[0]).size > 3
    arenas = [engine.arena_bytes or 0 for engine in engines]
    assert codes.size <= arenas[0] - arenas[1] <= codes.size + 64


@pytest.mark.parametrize("axis", [WITHIN, ACROSS], ids=["within", "across"])
def test_what_a_loop_carries_lies_in_one_place(axis: int, tmp_path: Path) -> None:
    """TFLM's own planner has every variable nine times or more: before and after the loop, and in condition and body."""
    case = lstm_case(3, axis, (11, 13), 16, 16)
    source, plain, _ = case.write(tmp_path)
    planned = tmp_path / "planned.tflite"
    convert(source, planned, rewrites=["memory-plan"])
    engines = [TflmEngine(read_model(path)) for path in (plain, planned)]
    outputs = [engine.invoke([case.codes])[0] for engine in engines]
    np.testing.assert_array_equal(*outputs)
    assert np.unique(outputs[0]).size > 20
    arenas = [engine.arena_bytes or 0 for engine in engines]
    assert arenas[0] - arenas[1] > 5 * case.codes.size


def test_no_tensor_lies_on_one_that_is_still_to_be_read(files: tuple[Path, Path, np.ndarray]) -> None:
    """Walk over the graph with a memory of bytes that know whose they are."""
    content = files[1].read_bytes()
    model, offsets = schema.ModelT.InitFromPackedBuf(bytearray(content), 0), plan_of(content)
    graph = model.subgraphs[0]
    spans: dict[int, Span] = {}
    for index, tensor in enumerate(graph.tensors):
        size = int(np.prod(tensor.shape)) * {schema.TensorType.INT8: 1, schema.TensorType.INT16: 2, schema.TensorType.INT32: 4}[tensor.type]
        if offsets[index] >= 0:
            assert offsets[index] % 16 == 0
            spans[index] = (offsets[index], offsets[index] + size)
        else:
            assert model.buffers[tensor.buffer].data is not None
    owner = np.full(max(end for _, end in spans.values()), -1)

    def write(index: int) -> None:
        owner[slice(*spans[index])] = index

    for index in graph.inputs:
        write(index)
    shared = 0
    for operator in graph.operators:
        read = [index for index in operator.inputs if index in spans]
        for index in read:
            assert (owner[slice(*spans[index])] == index).all()
        name = NAMES[model.operatorCodes[operator.opcodeIndex].builtinCode]
        for output in operator.outputs:
            for index in read:
                if spans[index][0] < spans[output][1] and spans[output][0] < spans[index][1]:
                    assert spans[index] == spans[output] and name in WRITES_OVER
                    shared += 1
            write(output)
    for index in graph.outputs:
        assert (owner[slice(*spans[index])] == index).all()
    assert shared > 10


def test_a_file_with_other_outputs_has_no_plan(files: tuple[Path, Path, np.ndarray]) -> None:
    content = files[1].read_bytes()
    assert plan_of(content) and not plan_of(files[0].read_bytes())
    inner = read_model(files[1]).activations[3].index
    assert not plan_of(with_outputs(content, [inner]))
