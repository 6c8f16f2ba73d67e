"""A TFLite flatbuffer as it is written, read without any runtime: operators, tensors, constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from export_specs.foundation.errors import UserError

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass(frozen=True)
class Tensor:
    """One tensor: index, name, shape, dtype name; ``constant_bytes`` is 0 for a computed one."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    constant_bytes: int

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Operator:
    """One operator: its builtin name, the names of its custom code if any, tensor indices (−1 for an absent input) and options."""

    number: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


class Subgraph:
    """One subgraph of a file: its operators and tensors."""

    def __init__(self, model: Any, index: int) -> None:
        self.model = model
        self._graph = model.subgraphs[index]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """Every tensor, by index."""
        return [self._tensor(index, tensor) for index, tensor in enumerate(self._graph.tensors)]

    @cached_property
    def operators(self) -> list[Operator]:
        """Every operator, in the order of execution."""
        found = []
        for number, operator in enumerate(self._graph.operators):
            code = self.model.operatorCodes[operator.opcodeIndex]
            name = _OPS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN")
            if name == "CUSTOM":
                name = f"CUSTOM:{(code.customCode or b'?').decode(errors='replace')}"
            found.append(Operator(number, name, _indices(operator.inputs), _indices(operator.outputs), operator.builtinOptions))
        return found

    @property
    def inputs(self) -> list[Tensor]:
        """The subgraph's inputs."""
        return [self.tensors[index] for index in _indices(self._graph.inputs)]

    @property
    def outputs(self) -> list[Tensor]:
        """The subgraph's outputs."""
        return [self.tensors[index] for index in _indices(self._graph.outputs)]

    @cached_property
    def computed(self) -> dict[int, Operator]:
        """The operator that computes each tensor, by the tensor's index."""
        return {index: operator for operator in self.operators for index in operator.outputs}

    def constant(self, index: int) -> bytes:
        """The content of a tensor; empty for a computed one."""
        data = self.model.buffers[self._graph.tensors[index].buffer].data
        return b"" if data is None else bytes(data)

    def _tensor(self, index: int, tensor: Any) -> Tensor:
        grid = tensor.quantization
        scaled = grid is not None and grid.scale is not None and len(grid.scale) > 0
        data = self.model.buffers[tensor.buffer].data
        return Tensor(
            index,
            (tensor.name or b"").decode(errors="replace"),
            _indices(tensor.shape),
            _TYPES[tensor.type],
            tuple(float(value) for value in grid.scale) if scaled else (),
            tuple(int(value) for value in grid.zeroPoint) if scaled and grid.zeroPoint is not None else (),
            0 if data is None else len(data),
        )


class TfliteGraph(Subgraph):
    """A TFLite file: its main subgraph, and through ``subgraphs`` the bodies and conditions of its loops."""

    def __init__(self, content: bytes, where: str = "the file") -> None:
        """Raises UserError where the bytes are no TFLite flatbuffer."""
        if content[4:8] != b"TFL3":
            raise UserError(f"{where} is not a TFLite file (its identifier is missing): make or copy it again")
        self.content = content
        super().__init__(schema.ModelT.InitFromPackedBuf(bytearray(content), 0), 0)

    @classmethod
    def read(cls, path: Path) -> TfliteGraph:
        """The graph of a file."""
        try:
            return cls(path.read_bytes(), str(path))
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error

    @cached_property
    def subgraphs(self) -> list[Subgraph]:
        """All subgraphs by index, the main one first."""
        return [self, *(Subgraph(self.model, index) for index in range(1, len(self.model.subgraphs)))]

    def loop(self, operator: Operator) -> tuple[Subgraph, int]:
        """The body of a WHILE and how often it runs: its condition is that a count from 0 is LESS than a constant.

        Raises:
            UserError: the condition is another one.
        """
        condition = self.subgraphs[operator.options.condSubgraphIndex]
        less = condition.operators[-1] if condition.operators else operator
        limit = condition.constant(less.inputs[-1])
        if less.name != "LESS" or not limit:
            raise UserError(f"the file does not tell how often its {operator.name} number {operator.number} runs")
        return self.subgraphs[operator.options.bodySubgraphIndex], int(np.frombuffer(limit, np.int32)[0])

    def forced(self) -> tuple[bytes, dict[int, int], dict[int, int]]:
        """A copy whose operators are all cut apart: each reads its activations from graph inputs of their own.

        Returns:
            The file's bytes; the input tensor that stands for each activation (old index: new index); the output tensor that each
            operator writes (old index: index). Feeding golden activations runs every operator on golden inputs in one invocation.
        """
        model = schema.ModelT.InitFromPackedBuf(bytearray(self.content), 0)
        graph = model.subgraphs[0]
        fed: dict[int, int] = {}
        for operator in graph.operators:
            renamed = []
            for index in _indices(operator.inputs):
                if index >= 0 and not self.tensors[index].constant_bytes:
                    if index not in fed:
                        copy = schema.TensorT()
                        original = graph.tensors[index]
                        copy.__dict__.update(original.__dict__)
                        copy.name = original.name + b"/golden"
                        graph.tensors.append(copy)
                        fed[index] = len(graph.tensors) - 1
                    index = fed[index]
                renamed.append(index)
            operator.inputs = np.array(renamed, np.int32)
        written = {index: index for index in self.computed}
        graph.inputs = np.array(list(fed.values()), np.int32)
        graph.outputs = np.array(list(written.values()), np.int32)
        model.signatureDefs = None
        builder = flatbuffers.Builder(len(self.content))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output()), fed, written


def _indices(vector: Sequence[int] | npt.NDArray[np.int32] | None) -> tuple[int, ...]:
    return () if vector is None else tuple(int(index) for index in vector)
