"""Writes a TFLite flatbuffer through the schema that ai-edge-litert ships."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export_specs.file_metadata import ENTRY, FileMetadata
from export_specs.layout import Layout
from pipeline.convert.builtin_operators import SLICE, WHILE, BuiltinOperator, TensorKind
from pipeline.convert.memory_plan import ENTRY as PLAN
from pipeline.convert.memory_plan import Wiring, memory_plan
from pipeline.convert.reshaped import Wired, overwriting
from pipeline.convert.sharing import Once, SharingBuilder

TYPE_NAMES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
TENSOR_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}
BUFFER_ALIGNMENT = 16  # force_align of Buffer.data in the TFLite schema; the object API does not honour it
SIGNATURE_KEY = "serving_default"


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data starts at a multiple of 16 bytes, as devices that read it in place need."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Write the buffer (called by ``ModelT.Pack``)."""
        content = bytes(self.data)
        builder.StartVector(1, len(content), BUFFER_ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class FlatbufferBuilder:
    """Collects tensors and operators of the main subgraph. Tensors are integers, or the condition of a loop: a float one cannot be made."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]  # buffer 0 is empty by convention
        self._model.operatorCodes = []
        self._model.metadata = []
        self._model.subgraphs = []
        self._builders: list[FlatbufferBuilder] = []  # one for each graph
        self._codes: dict[str, int] = {}
        self._contents: dict[bytes, int] = {}
        self.op_counts: Counter[str] = Counter()
        self._begin("main")

    def _begin(self, name: str) -> None:
        self._graph = schema.SubGraphT()
        self._graph.name = name
        self._graph.tensors = []
        self._graph.operators = []
        self._model.subgraphs.append(self._graph)
        self._operators: list[BuiltinOperator] = []  # what each operator of the graph is
        self._builders.append(self)
        self._names: set[str] = set()
        self._constants: dict[Hashable, int] = {}

    def subgraph(self, name: str) -> tuple[int, FlatbufferBuilder]:
        """A further subgraph of the file: its index and the builder of its tensors and operators; :meth:`close` ends it."""
        builder = copy.copy(self)
        builder._begin(name)
        return len(self._model.subgraphs) - 1, builder

    def close(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """State the inputs and outputs of a subgraph."""
        self._graph.inputs = np.array(inputs, np.int32)
        self._graph.outputs = np.array(outputs, np.int32)

    @property
    def tensor_count(self) -> int:
        """Number of tensors so far, in all subgraphs."""
        return sum(len(graph.tensors) for graph in self._model.subgraphs)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype[Any] | type,
        scale: np.ndarray | None = None,
        zero_point: np.ndarray | None = None,
        quantized_dimension: int = 0,
        data: np.ndarray | None = None,
    ) -> int:
        """Add a tensor and return its index.

        Names of computed tensors are made unique by a suffix. ``data`` makes the tensor a constant, which takes the last part of the name
        only; one that equals an earlier one in type, shape, content and grid is that one.
        """
        grid = None
        if scale is not None and zero_point is not None:
            grid = schema.QuantizationParametersT()
            grid.scale = scale.astype(np.float32)
            grid.zeroPoint = zero_point.astype(np.int64)
            grid.quantizedDimension = quantized_dimension
        if data is None:
            return self._add(self._unique(name), shape, dtype, grid, 0)
        buffer = self._buffer(np.ascontiguousarray(data, dtype).tobytes())
        key = (buffer, np.dtype(dtype), tuple(shape), None if grid is None else Once(grid).key)
        if key not in self._constants:
            self._constants[key] = self._add(re.split(r"[./]", name)[-1], shape, dtype, grid, buffer)
        return self._constants[key]

    def _add(self, name: str, shape: Sequence[int], dtype: np.dtype[Any] | type, grid: Any, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.array(shape, np.int32)
        tensor.type = TENSOR_TYPES[np.dtype(dtype)]
        tensor.buffer = buffer
        tensor.quantization = None if grid is None else Once(grid)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def operator(self, builtin: BuiltinOperator, inputs: Sequence[int], outputs: Sequence[int], options: Mapping[str, Any]) -> None:
        """Add a builtin operator. Its operator code keeps the highest version that any of its operators needs.

        Args:
            inputs, outputs: tensor indices; input -1 is an absent optional one.
            options: fields of the operator's table of options; those left out keep the schema's default.

        Raises:
            IllegalOperatorError: its kernels do not take these tensors.
            KeyError: its options have no such field.
        """
        version = builtin.version([self.kind(index) for index in inputs if index >= 0], [self.kind(index) for index in outputs])
        name = builtin.name
        if name not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            self._codes[name] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        code = self._model.operatorCodes[self._codes[name]]
        code.version = max(code.version, version)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes[name]
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        table = _options_table(builtin, options)
        if table is not None and vars(table):  # one without fields tells a reader nothing
            operator.builtinOptions = Once(table)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, builtin.options)
        self._graph.operators.append(operator)
        self._operators.append(builtin)
        self.op_counts[name] += 1

    def finish(
        self,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        description: str,
        metadata: FileMetadata | None,
        layouts: Mapping[int, Layout] = MappingProxyType({}),
        plan_memory: bool = False,
    ) -> bytes:
        """The file's bytes: inputs and outputs by name, a signature ``serving_default``, and ``metadata`` if there is any.

        ``layouts``: of computed tensors, by index; the others are plain. ``plan_memory``: the file says where TFLite Micro is to put its
        tensors (:mod:`pipeline.convert.memory_plan`).
        """
        self.close(list(inputs.values()), list(outputs.values()))
        self._copy_where_overwritten()
        if plan_memory:
            self._add_metadata(PLAN, memory_plan([builder._wiring() for builder in self._builders]))
        signature = schema.SignatureDefT()
        signature.signatureKey = SIGNATURE_KEY
        signature.inputs = [_tensor_map(name, index) for name, index in inputs.items()]
        signature.outputs = [_tensor_map(name, index) for name, index in outputs.items()]
        self._model.signatureDefs = [signature]
        self._model.description = description
        if metadata is not None:
            metadata = metadata.model_copy(update={"layouts": {}, "computed_layouts": self._computed_layouts(layouts)})
            self._add_metadata(ENTRY, metadata.to_json().encode())
        self._sort_codes()
        builder = SharingBuilder()
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _computed_layouts(self, layouts: Mapping[int, Layout]) -> tuple[tuple[Layout, int], ...]:
        """As :class:`FileMetadata` has them."""
        computed = [index for operator in self._graph.operators for index in operator.outputs if len(self._graph.tensors[index].shape) == 4]
        runs = groupby(layouts.get(int(index), Layout.PLAIN) for index in computed)
        return tuple((layout, len(list(run))) for layout, run in runs)

    def _add_metadata(self, name: str, content: bytes) -> None:
        entry = schema.MetadataT()
        entry.name = name
        entry.buffer = self._buffer(content)
        self._model.metadata.append(entry)

    def _wired(self) -> list[Wired]:
        wired = []
        for builtin, operator in zip(self._operators, self._graph.operators, strict=True):
            loop = operator.builtinOptions.table if builtin is WHILE else None
            subgraphs = [] if loop is None else [loop.condSubgraphIndex, loop.bodySubgraphIndex]
            wired.append(Wired(builtin, operator.inputs.tolist(), operator.outputs.tolist(), subgraphs))
        return wired

    def _wiring(self) -> Wiring:
        graph, wired = self._graph, self._wired()
        inputs, outputs = graph.inputs.tolist(), graph.outputs.tolist()
        sizes = {index: self._bytes_of(index) for index in (*inputs, *(made for operator in wired for made in operator.outputs))}
        return Wiring(wired, inputs, outputs, sizes, len(graph.tensors))

    def _bytes_of(self, index: int) -> int:
        kind = self.kind(index)
        return kind.size * np.dtype(kind.dtype).itemsize

    def _copy_where_overwritten(self) -> None:
        """Put a SLICE of the whole, which is a copy, before each read that :func:`overwriting` names."""
        graph = self._graph
        for position, slot in reversed(overwriting(self._wired(), list(graph.outputs))):
            reader = graph.operators[position]
            original = graph.tensors[reader.inputs[slot]]
            copied = self._add(self._unique(f"{original.name}/copy"), original.shape, np.int8, None, 0)
            graph.tensors[copied].type = original.type
            graph.tensors[copied].quantization = original.quantization
            begin, size = (
                self.tensor(name, value.shape, np.int32, data=value)
                for name, value in (("begin", np.zeros_like(original.shape)), ("size", original.shape))
            )
            self.operator(SLICE, [reader.inputs[slot], begin, size], [copied], {})
            for items in (graph.operators, self._operators):
                items.insert(position, items.pop())
            reader.inputs[slot] = copied

    def _sort_codes(self) -> None:
        """The operator code used most comes first: an index of 0 takes no room in the file."""
        operators = [operator for graph in self._model.subgraphs for operator in graph.operators]
        order = [index for index, _ in Counter(operator.opcodeIndex for operator in operators).most_common()]
        self._model.operatorCodes = [self._model.operatorCodes[index] for index in order]
        for operator in operators:
            operator.opcodeIndex = order.index(operator.opcodeIndex)

    def kind(self, index: int) -> TensorKind:
        """What an operator's kernel sees of a tensor."""
        tensor = self._graph.tensors[index]
        grid = None if tensor.quantization is None else tensor.quantization.table
        dtype, shape = TYPE_NAMES[tensor.type], tuple(int(size) for size in tensor.shape)
        if grid is None:
            return TensorKind(tensor.name, dtype, shape, 0, ())
        zero_points = tuple(int(value) for value in grid.zeroPoint)
        return TensorKind(tensor.name, dtype, shape, len(grid.scale), zero_points, float(grid.scale[0]))

    def _buffer(self, content: bytes) -> int:
        """The buffer of this content, which all constants of the same bytes share."""
        if content not in self._contents:
            buffer = _AlignedBuffer()
            buffer.data = content
            self._model.buffers.append(buffer)
            self._contents[content] = len(self._model.buffers) - 1
        return self._contents[content]

    def _unique(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._names:
            number += 1
            candidate = f"{name}.{number}"
        self._names.add(candidate)
        return candidate


def _options_table(builtin: BuiltinOperator, options: Mapping[str, Any]) -> Any:
    """The table of an operator's options; None for an operator that has none."""
    table = getattr(schema, f"{builtin.options}T")() if builtin.options else None
    for field, value in options.items():
        if not hasattr(table, field):
            raise KeyError(f"{builtin.options or builtin.name} has no field {field}")
        setattr(table, field, value)
    return table


def _tensor_map(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = index
    return entry
