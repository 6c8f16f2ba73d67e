"""Reading TFLite files: what is in them, and whether they are sound enough to be given to a runtime."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.model_file import Array, ModelFile, Quantization, TensorInfo
from edge_runtime.native_messages import captured_stderr
from export_specs.file_metadata import ENTRY, FileMetadata, read_metadata
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout

MEMORY_PLAN = b"OfflineMemoryAllocation"  # metadata that TFLite Micro knows
_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def parse_tflite(path: Path, content: bytes) -> ModelFile:
    """Parse a TFLite flatbuffer, and check every index and constant in it.

    Raises:
        UserError: the file is truncated or damaged.
    """
    _verify(path, content)
    try:
        model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
        return _describe(path, content, model)
    except UserError:
        raise
    except Exception as error:  # a damaged flatbuffer raises whatever its wrong offsets lead to
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def as_in_onnx(tensor: Array, layout: Layout | None) -> Array:
    """A tensor with the axes that it has in ONNX; where the file does not tell its layout, [N, T, 1, C] is taken for frames."""
    if layout is Layout.FRAMES or (layout is None and tensor.ndim == 4 and tensor.shape[2] == 1):
        return np.ascontiguousarray(tensor[:, :, 0, :].swapaxes(1, 2))
    if layout is Layout.PLANE:
        return np.ascontiguousarray(tensor.transpose(0, 3, 1, 2))
    return tensor.reshape(-1, 1, 1) if layout is Layout.FILTER else tensor


def with_outputs(content: bytes, indices: list[int]) -> bytes:
    """A copy of a TFLite file whose graph outputs are the tensors ``indices``.

    It has no plan of TFLite Micro's arena: that of the file lets memory go that the new outputs need.
    """
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    model.metadata = [entry for entry in model.metadata or [] if bytes(entry.name) != MEMORY_PLAN]
    model.subgraphs[0].outputs = np.array(indices, dtype=np.int32)
    model.signatureDefs = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operators_of(content: bytes) -> Counter[str]:
    """How often a TFLite file has each operator. For what other tools make of our files: nothing else is read or checked."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    return Counter(_operator_name(model, operator) for graph in model.subgraphs for operator in graph.operators)


def _operator_name(model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    return str(_OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN"))


def _verify(path: Path, content: bytes) -> None:
    """Let LiteRT's own verifier walk over the flatbuffer: TFLM has none and would follow a wrong offset."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with captured_stderr():
            Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    except (ValueError, RuntimeError) as error:
        if "Flatbuffer" in str(error):  # anything else, an unknown op say, is for the runtime to refuse
            raise _damaged(path, str(error)) from error


def _describe(path: Path, content: bytes, model: Any) -> ModelFile:
    """The main graph is the first; the others are bodies and conditions of its loops."""
    subgraphs = [[_tensor(index, tensor) for index, tensor in enumerate(graph.tensors)] for graph in model.subgraphs]
    ops: Counter[str] = Counter()
    largest = loops = 0
    for graph, tensors in zip(model.subgraphs, subgraphs, strict=True):
        _check_constants(path, model, graph, tensors)
        for number, operator in enumerate(graph.operators):
            operands = [index for index in _indices(operator.inputs) if index >= 0]
            results = _indices(operator.outputs)
            if any(index >= len(tensors) for index in operands) or any(not 0 <= index < len(tensors) for index in results):
                raise _damaged(path, f"operator {number} names a tensor beyond the {len(tensors)} of the file")
            if not 0 <= operator.opcodeIndex < len(model.operatorCodes):
                raise _damaged(path, f"operator {number} has no operator code")
            ops[_operator_name(model, operator)] += 1
            largest = max(largest, sum(tensors[index].nbytes for index in {*operands, *results}))
        if graph is not model.subgraphs[0]:
            loops += sum(tensor.nbytes for tensor in tensors)
    graph, tensors, metadata = model.subgraphs[0], subgraphs[0], _metadata(path, model)
    computed = [tensors[index] for operator in graph.operators for index in _indices(operator.outputs)]
    return ModelFile(
        path=path,
        format="tflite",
        content=content,
        inputs=tuple(tensors[index] for index in _indices(graph.inputs)),
        outputs=tuple(tensors[index] for index in _indices(graph.outputs)),
        activations=_with_layouts(path, computed, metadata),
        largest_node_bytes=largest + loops,
        dtypes=Counter(tensor.dtype for tensors in subgraphs for tensor in tensors),
        ops=ops,
        metadata=metadata,
    )


def _tensor(index: int, tensor: Any) -> TensorInfo:
    shape = tensor.shapeSignature if tensor.shapeSignature is not None and len(tensor.shapeSignature) else tensor.shape
    quantization = None
    parameters = tensor.quantization
    if parameters is not None and parameters.scale is not None and len(parameters.scale):
        scale = np.asarray(parameters.scale, dtype=np.float32)
        zero_point = np.zeros(scale.shape, np.int64) if parameters.zeroPoint is None else np.asarray(parameters.zeroPoint, dtype=np.int64)
        quantization = Quantization(scale, zero_point, parameters.quantizedDimension)
    return TensorInfo((tensor.name or b"").decode(errors="replace"), tuple(_indices(shape)), _TYPES[tensor.type], quantization, index)


def _check_constants(path: Path, model: Any, graph: Any, tensors: list[TensorInfo]) -> None:
    for info, tensor in zip(tensors, graph.tensors, strict=True):
        if not 0 <= tensor.buffer < len(model.buffers):
            raise _damaged(path, f"tensor {info} names a buffer beyond the {len(model.buffers)} of the file")
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data) and info.nbytes and len(data) != info.nbytes and tensor.sparsity is None:
            raise _damaged(path, f"the constant {info} holds {len(data)} bytes instead of {info.nbytes}")


def _metadata(path: Path, model: Any) -> FileMetadata | None:
    for entry in model.metadata or []:
        if entry.name.decode() == ENTRY:
            return read_metadata(bytes(model.buffers[entry.buffer].data), path)
    return None


def _with_layouts(path: Path, computed: list[TensorInfo], metadata: FileMetadata | None) -> tuple[TensorInfo, ...]:
    """The computed tensors with the layouts that the metadata tell of those of rank 4, if they do."""
    if metadata is None or not metadata.computed_layouts:
        return tuple(computed)
    told = [layout for layout, count in metadata.computed_layouts for _ in range(count)]
    if len(told) != (count := sum(len(tensor.shape) == 4 for tensor in computed)):
        raise UserError(f"{path} contradicts itself: its metadata tell {len(told)} layouts, its operators make {count} tensors of rank 4")
    following = iter(told)
    return tuple(replace(tensor, layout=next(following) if len(tensor.shape) == 4 else Layout.PLAIN) for tensor in computed)


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(index) for index in vector]


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is damaged ({reason.strip()}): make or copy it again")
