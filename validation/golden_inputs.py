"""Op by op with golden inputs: every operator of a runtime computes from BUILTIN_REF's tensors, so that no error is carried on.

The operators are cut apart inside one copy of the file, each with inputs of its own, and run in one invocation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import helper

from edge_runtime.branch_signature import signature_of
from edge_runtime.model_file import read_model
from edge_runtime.native_messages import captured_stderr
from edge_runtime.tflite_file import with_outputs
from export_specs.foundation.errors import UserError
from validation.layers import Codes, TensorStatistics
from validation.record import Number, Record
from validation.tflite_graph import TfliteGraph

_INTEGERS = (onnx.TensorProto.INT8, onnx.TensorProto.INT16, onnx.TensorProto.INT32)
_SUFFIX = "/golden"


class OpComparison(Record):
    """One operator's output, computed from golden inputs, against the golden output. ``share`` is the part of the values that differs."""

    tensor: str
    op: str
    values: int
    max_lsb: int
    share: Number


def forced_tflite(path: Path, clips: Sequence[npt.NDArray[np.int16]]) -> list[OpComparison]:
    """Every operator of a TFLite file on XNNPACK with BUILTIN_REF's inputs; ``clips`` are int16 segments [T] at level.

    Raises:
        RuntimeError: the reference kernels do not reproduce their own tensors through the cut (the cut is wrong).
        UserError: LiteRT cannot run the operators.
    """
    graph = TfliteGraph.read(path)
    content, fed, written = graph.forced()
    # declared as outputs: what a loop passes on unchanged is else not written at all
    whole = _litert(path, with_outputs(graph.content, sorted(written)), OpResolverType.BUILTIN_REF)
    reference = _litert(path, content, OpResolverType.BUILTIN_REF)
    xnnpack = _litert(path, content, OpResolverType.AUTO)
    signature = signature_of(read_model(path))
    statistics = {index: TensorStatistics(graph.tensors[index].name) for index in written if graph.tensors[index].dtype.startswith("int")}
    for clip in clips:
        for source, tensor in zip(graph.inputs, signature.feed(clip)[0], strict=True):
            whole.set_tensor(source.index, tensor)
        whole.invoke()
        golden = {index: whole.get_tensor(index) for index in {*fed, *written}}
        for interpreter in (reference, xnnpack):
            for index, copy in fed.items():
                interpreter.set_tensor(copy, golden[index])
            interpreter.invoke()
        for index, collected in statistics.items():
            if not np.array_equal(reference.get_tensor(written[index]), golden[index]):
                raise RuntimeError(
                    f"the cut of {path} is wrong at '{graph.tensors[index].name}': the reference kernel does not give its own output"
                )
            collected.add(golden[index], xnnpack.get_tensor(written[index]))
    return [_result(collected, graph.computed[index].name) for index, collected in statistics.items()]


def forced_onnx(path: Path, golden: Sequence[Mapping[str, Codes]], clips: Sequence[npt.NDArray[np.int16]]) -> list[OpComparison]:
    """Every step between integer tensors of a QDQ file in ONNX Runtime (DISABLE_ALL) with golden inputs.

    Args:
        golden: for each clip BUILTIN_REF's tensors by name, with the axes of the ONNX file. A step goes from such tensors to the next ones;
            an integer tensor that the TFLite file does not have lies within a step.

    Raises:
        ValueError: a golden tensor has another shape than the ONNX one of its name.
    """
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load(path))
    except Exception as error:  # protobuf and the file system each raise their own kinds
        raise UserError(f"{path} is not a whole ONNX file: {error}") from error
    shapes = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    last = {name: node.op_type for node in model.graph.node for name in node.output}
    names = [name for name in last if name in golden[0] and name in shapes and shapes[name].type.tensor_type.elem_type in _INTEGERS]
    session = _cut_onnx(path, model, names, shapes)
    statistics = {name: TensorStatistics(name) for name in names}
    file = read_model(path)
    signature = signature_of(file)
    wanted = {value.name for value in session.get_inputs()}
    for clip, tensors in zip(clips, golden, strict=True):
        for name in names:
            _check_shape(tensors[name], shapes[name])
        feed = {name + _SUFFIX: tensors[name] for name in names if name + _SUFFIX in wanted}
        inputs = dict(zip((source.name for source in file.inputs), signature.feed(clip)[0], strict=True))
        outputs = session.run(names, {**inputs, **feed})
        for name, found in zip(names, outputs, strict=True):
            statistics[name].add(tensors[name], found)
    kinds = {name: _step(model, name, last) for name in names}
    return [_result(collected, kinds[name]) for name, collected in statistics.items()]


def _cut_onnx(path: Path, model: onnx.ModelProto, names: list[str], shapes: dict[str, onnx.ValueInfoProto]) -> onnxruntime.InferenceSession:
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    used = set()
    for node in cut.graph.node:
        for position, name in enumerate(node.input):
            if name in names:
                node.input[position] = name + _SUFFIX
                used.add(name)
    for name in names:
        if name in used:
            value = cut.graph.input.add()
            value.CopyFrom(shapes[name])
            value.name = name + _SUFFIX
    del cut.graph.output[:]
    for name in names:
        cut.graph.output.append(helper.make_tensor_value_info(name, shapes[name].type.tensor_type.elem_type, None))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(cut.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class but this one
        raise UserError(f"ONNX Runtime cannot load the operators of {path} one by one: {error}") from error


def _check_shape(codes: Codes, value: onnx.ValueInfoProto) -> None:
    shape = tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
    if codes.shape != shape:
        raise ValueError(f"'{value.name}' is {list(codes.shape)} in TFLite and {list(shape)} in ONNX")


def _step(model: onnx.ModelProto, name: str, last: dict[str, str]) -> str:
    """The float op between dequantized inputs and the quantized output, or the integer op itself."""
    if last[name] != "QuantizeLinear":
        return last[name]
    source = next(node.input[0] for node in model.graph.node if name in node.output)
    return last.get(source, "QuantizeLinear")


def _result(collected: TensorStatistics, op: str) -> OpComparison:
    found = collected.result()
    return OpComparison(tensor=found.tensor, op=op, values=found.values, max_lsb=found.max_lsb, share=found.share)


def _litert(path: Path, content: bytes, kernels: OpResolverType) -> Interpreter:
    try:
        with captured_stderr():
            interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels, num_threads=1)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"LiteRT cannot run the operators of {path} one by one: {str(error).strip()}") from error
    return interpreter
