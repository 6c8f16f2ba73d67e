"""Reading ONNX files: what is in them, and a copy that shows its inner tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edge_runtime.model_file import Array, ModelFile, Quantization, TensorInfo
from export_specs.file_metadata import metadata_of_onnx
from export_specs.foundation.errors import UserError


def parse_onnx(path: Path, content: bytes) -> ModelFile:
    """Parse and check an ONNX file.

    Raises:
        UserError: the file is truncated, damaged or not ONNX at all.
    """
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # protobuf, checker and inference each raise their own kinds
        reason = str(error).strip().splitlines()
        raise UserError(
            f"{path} is neither a TFLite nor a whole ONNX file ({reason[0] if reason else error!r}): make or copy it again"
        ) from error
    graph = inferred.graph
    constants = _constants(graph)
    quantizations = _quantizations(graph, constants)
    values = {
        value.name: TensorInfo(value.name, _shape(value), _dtype(value.type.tensor_type.elem_type), quantizations.get(value.name))
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    computed = [name for node in graph.node if node.op_type != "Constant" for name in node.output if name]
    activations = [values.get(name, TensorInfo(name, (), "unknown")) for name in computed]
    dtypes = Counter(tensor.dtype for tensor in activations)
    dtypes.update(_dtype(tensor.data_type) for part in subgraphs(graph) for tensor in part.initializer)
    dtypes.update(values[value.name].dtype for value in graph.input)
    return ModelFile(
        path=path,
        format="onnx",
        content=content,
        inputs=tuple(values[value.name] for value in graph.input if value.name not in constants),
        outputs=tuple(values[value.name] for value in graph.output),
        activations=tuple(activations),
        largest_node_bytes=0,
        dtypes=dtypes,
        ops=Counter(node.op_type for part in subgraphs(graph) for node in part.node),
        metadata=metadata_of_onnx({entry.key: entry.value for entry in model.metadata_props}, path),
    )


def subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those that its nodes run, such as the body of a Scan."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from subgraphs(attribute.g)


def with_outputs(content: bytes, tensors: list[TensorInfo]) -> bytes:
    """A copy of an ONNX file whose graph outputs are ``tensors``."""
    model = onnx.load_from_string(content)
    del model.graph.output[:]
    for tensor in tensors:
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(tensor.name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), None)
        )
    return bytes(model.SerializeToString())


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _quantizations(graph: onnx.GraphProto, constants: dict[str, Array]) -> dict[str, Quantization]:
    """Of the outputs of QuantizeLinear, and of raw integers by the DequantizeLinear that reads them."""
    found: dict[str, Quantization] = {}
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        for node in graph.node:
            if node.op_type != kind or node.input[1] not in constants:
                continue
            scale = np.atleast_1d(constants[node.input[1]]).astype(np.float32)
            zero_point = constants.get(node.input[2]) if len(node.input) > 2 else None
            zeros = np.zeros(scale.shape, np.int64) if zero_point is None else np.atleast_1d(zero_point).astype(np.int64)
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
            found[node.output[0] if kind == "QuantizeLinear" else node.input[0]] = Quantization(scale, zeros, axis)
    return found


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim)


def _dtype(kind: int) -> str:
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except KeyError:
        return "unknown"
