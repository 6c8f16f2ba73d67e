"""Builds small QDQ ONNX graphs by hand: the forms that the converter takes, one method each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export_specs.file_metadata import ENTRY, FileMetadata

TYPES = {"int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}


class QdqGraph:
    """Every method adds nodes and returns the name of the tensor it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.metadata: FileMetadata | None = None
        self._count = 0

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "int8") -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], list(shape)))
        return name

    def const(self, value: Any, dtype: Any = None, name: str = "") -> str:
        name = name or self._name("const")
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, op_type: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        out = out or self._name(op_type.lower())
        self.nodes.append(helper.make_node(op_type, list(inputs), [out], name=f"/{out}/{op_type}", **attributes))
        return out

    def q(self, name: str, scale: Any, zero: int, dtype: str = "int8", out: str = "") -> str:
        return self.op("QuantizeLinear", name, self.const(scale, np.float32), self.const(zero, dtype), out=out)

    def dq(self, name: str, scale: Any, zero: Any, dtype: str = "int8", axis: int = 0) -> str:
        scale = np.asarray(scale, np.float32)
        attributes = {"axis": axis} if scale.ndim else {}
        zeros = np.broadcast_to(np.asarray(zero, dtype), scale.shape)
        return self.op("DequantizeLinear", name, self.const(scale), self.const(zeros.copy()), **attributes)

    def weight(self, codes: np.ndarray, scale: np.ndarray, axis: int = 0) -> str:
        return self.dq(self.const(codes), scale, 0, str(codes.dtype), axis)

    def save(self, path: Path, outputs: dict[str, tuple[str, Sequence[int]]]) -> Path:
        """Write the model; ``outputs`` is name -> (type, shape)."""
        values = [helper.make_tensor_value_info(name, TYPES[dtype], list(shape)) for name, (dtype, shape) in outputs.items()]
        graph = helper.make_graph(self.nodes, "test", self.inputs, values, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        if self.metadata is not None:
            helper.set_model_props(model, {ENTRY: self.metadata.to_json()})
        onnx.save(model, path)
        return path

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"
