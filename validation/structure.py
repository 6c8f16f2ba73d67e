"""What is in the file that ships, read from the file itself rather than from what its maker says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx

from edge_runtime.onnx_file import subgraphs
from export_specs.foundation.errors import UserError
from validation.record import Record
from validation.tflite_graph import TfliteGraph

_FLOATS = ("float16", "float32", "float64", "bfloat16")


class Structure(Record):
    """The audit of one file. ``inputs`` and ``outputs`` are "name dtype [shape]", ``transposed`` names what a TRANSPOSE makes; the other
    lists are empty in a sound int8 file."""

    format: str
    bytes: int
    constant_bytes: int
    dtypes: dict[str, int]
    ops: dict[str, int]
    inputs: list[str]
    outputs: list[str]
    io_int16: bool
    float_tensors: list[str]
    custom_ops: list[str]
    refused_ops: dict[str, int]
    transposed: list[str]
    reshapes: int


def audit(path: Path, allowed_ops: list[str]) -> Structure:
    """Audit a ``.tflite`` or ``.onnx`` file, its loops included; ``allowed_ops`` empty allows all.

    In a TFLite file every float tensor is listed. In QDQ ONNX the arithmetic between DequantizeLinear and QuantizeLinear is float by
    design: there the float constants that are not scales are listed (weights left unquantized).
    """
    return _audit_onnx(path, allowed_ops) if path.suffix == ".onnx" else _audit_tflite(path, allowed_ops)


def _audit_tflite(path: Path, allowed_ops: list[str]) -> Structure:
    graph = TfliteGraph.read(path)
    tensors = [tensor for part in graph.subgraphs for tensor in part.tensors]
    ops = Counter(operator.name for part in graph.subgraphs for operator in part.operators)
    ends = [*graph.inputs, *graph.outputs]
    return Structure(
        format="tflite",
        bytes=len(graph.content),
        constant_bytes=sum(tensor.constant_bytes for tensor in tensors),
        dtypes=dict(Counter(tensor.dtype for tensor in tensors).most_common()),
        ops=dict(ops.most_common()),
        inputs=[f"{t.name} {t.dtype} {list(t.shape)}" for t in graph.inputs],
        outputs=[f"{t.name} {t.dtype} {list(t.shape)}" for t in graph.outputs],
        io_int16=all(tensor.dtype == "int16" for tensor in ends),
        float_tensors=[tensor.name for tensor in tensors if tensor.dtype in _FLOATS],
        custom_ops=[name for name in ops if name.startswith("CUSTOM:")],
        refused_ops=_refused(ops, allowed_ops),
        transposed=[part.tensors[op.outputs[0]].name for part in graph.subgraphs for op in part.operators if op.name == "TRANSPOSE"],
        reshapes=ops["RESHAPE"],
    )


def _audit_onnx(path: Path, allowed_ops: list[str]) -> Structure:
    try:
        content = path.read_bytes()
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # protobuf and the checker each raise their own kinds
        raise UserError(f"{path} is not a whole ONNX file: {error}") from error
    graph = model.graph
    parts = list(subgraphs(graph))
    nodes = [node for part in parts for node in part.node]
    initializers = [tensor for part in parts for tensor in part.initializer]
    ops = Counter(node.op_type for node in nodes)
    scales = {node.input[1] for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    dtypes = {tensor.name: _onnx_dtype(tensor.data_type) for tensor in initializers}
    ends = {value.name: _onnx_dtype(value.type.tensor_type.elem_type) for value in (*graph.input, *graph.output)}
    return Structure(
        format="onnx",
        bytes=len(content),
        constant_bytes=sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in initializers),
        dtypes=dict(Counter([*dtypes.values(), *ends.values()]).most_common()),
        ops=dict(ops.most_common()),
        inputs=[_describe(value) for value in graph.input],
        outputs=[_describe(value) for value in graph.output],
        io_int16=all(dtype == "int16" for dtype in ends.values()),
        float_tensors=[name for name, dtype in dtypes.items() if dtype in _FLOATS and name not in scales],
        custom_ops=[f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in ("", "ai.onnx")],
        refused_ops=_refused(ops, allowed_ops),
        transposed=[node.output[0] for node in nodes if node.op_type == "Transpose"],
        reshapes=ops["Reshape"],
    )


def _refused(ops: Counter[str], allowed_ops: list[str]) -> dict[str, int]:
    return {name: count for name, count in ops.items() if allowed_ops and name not in allowed_ops}


def _describe(value: onnx.ValueInfoProto) -> str:
    shape = [size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim]
    return f"{value.name} {_onnx_dtype(value.type.tensor_type.elem_type)} {shape}"


def _onnx_dtype(kind: int) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind))
