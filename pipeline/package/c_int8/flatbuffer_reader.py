"""A TFLite file as tensors and operators, every constant an array."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from export_specs.file_metadata import ENTRY, FileMetadata, read_metadata
from export_specs.foundation.errors import UserError

Array = npt.NDArray[Any]
_DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.INT16: np.dtype(np.int16),
    schema.TensorType.INT32: np.dtype(np.int32),
    schema.TensorType.INT64: np.dtype(np.int64),
    schema.TensorType.BOOL: np.dtype(np.bool_),
}
_TYPE_NAMES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_OPERATOR_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a graph; two are the same only if they are one object.

    ``scales`` is float32 [1] or [C] and empty where the file gives no grid; ``data`` is the value of a constant; ``index`` is the tensor's
    number in its graph, −1 for one that is not of the file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    data: Array | None = None
    index: int = -1

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self.size * self.dtype.itemsize

    @property
    def scale(self) -> np.float32:
        """The one scale of the tensor."""
        if self.scales.size != 1:
            raise UserError(f"the tensor '{self.name}' has {self.scales.size} scales where one is needed: make the file again")
        return np.float32(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The one zero point of the tensor, 0 where the file gives no grid."""
        return int(self.zero_points[0]) if self.zero_points.size else 0

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype} {list(self.shape)}"


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator; an absent optional input is None. ``options`` is the object of its options table, or None."""

    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any

    def option(self, name: str, default: Any) -> Any:
        """A field of the options table; ``default`` where there is no table or no such field."""
        return getattr(self.options, name, default)


@dataclass(frozen=True)
class Graph:
    """A subgraph: the main one, or the condition or the body of a loop."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class Model:
    """The subgraphs of a file, of which the first is the main one, and its metadata; None of a foreign file."""

    graphs: tuple[Graph, ...]
    metadata: FileMetadata | None = None


def read_tflite(path: Path) -> Model:
    """Read a file of this product.

    Raises:
        UserError: it is no TFLite file, or holds a tensor or an operator that is no integer one.
    """
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise UserError(f"{path} is not a TFLite file: make or copy it again")
    packed = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    return Model(tuple(_graph(path, packed, graph) for graph in packed.subgraphs), _metadata(path, packed))


def _graph(path: Path, packed: Any, graph: Any) -> Graph:
    tensors = [_tensor(path, packed, index, tensor) for index, tensor in enumerate(graph.tensors)]
    operators = []
    for operator in graph.operators:
        code = packed.operatorCodes[operator.opcodeIndex]
        name = _OPERATOR_NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        inputs = tuple(tensors[index] if index >= 0 else None for index in operator.inputs)
        operators.append(Operator(name, inputs, tuple(tensors[index] for index in operator.outputs), operator.builtinOptions))
    return Graph(tuple(tensors[i] for i in graph.inputs), tuple(tensors[i] for i in graph.outputs), tuple(operators))


def _tensor(path: Path, packed: Any, index: int, tensor: Any) -> Tensor:
    name, shape = tensor.name.decode(), tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()
    if tensor.type not in _DTYPES:
        found = _TYPE_NAMES.get(tensor.type, str(tensor.type)).lower()
        raise UserError(f"{path}: the tensor '{name}' is {found}. A C package is made of a fully-integer file, say of TARGET=tflite-int8.")
    dtype = _DTYPES[tensor.type]
    scales, zero_points = np.zeros(0, np.float32), np.zeros(0, np.int64)
    if tensor.quantization is not None and tensor.quantization.scale is not None:
        scales = np.asarray(tensor.quantization.scale, np.float32)
        given = tensor.quantization.zeroPoint
        zero_points = np.zeros(scales.size, np.int64) if given is None else np.asarray(given, np.int64)
    content = packed.buffers[tensor.buffer].data
    data = None if content is None or not len(content) else np.frombuffer(bytes(content), dtype).reshape(shape)
    return Tensor(name, shape, dtype, scales, zero_points, data, index)


def _metadata(path: Path, packed: Any) -> FileMetadata | None:
    for entry in packed.metadata or []:
        if entry.name.decode() == ENTRY:
            return read_metadata(bytes(packed.buffers[entry.buffer].data), path)
    return None
