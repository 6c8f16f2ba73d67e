"""A read-only view of a QDQ ONNX graph: who makes and who uses a tensor, its shape and type, and the grid it lies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

from export_specs.file_metadata import FileMetadata, metadata_of_onnx
from export_specs.foundation.errors import UserError
from pipeline.convert.declaration import STANDARD_DOMAINS, Declaration, Declarations
from pipeline.convert.errors import ConversionError
from pipeline.convert.quantization import Quantization

INTEGER_TYPES: dict[int, np.dtype[Any]] = {
    TensorProto.INT8: np.dtype(np.int8),
    TensorProto.INT16: np.dtype(np.int16),
    TensorProto.INT32: np.dtype(np.int32),
}
MINIMUM_OPSET = 19  # DequantizeLinear with int32 and per-axis forms as written here; int16 needs 21


def node_name(node: NodeProto) -> str:
    """The name to show for a node: its own, or that of its first output."""
    return str(node.name or (node.output[0] if node.output else "?"))


class OnnxGraph:
    """The graph of an ONNX model (with inferred shapes) with static integer inputs and outputs.

    Args:
        declarations: what is known of the ops.
        in_loop: whether the graph is the body of a Scan.
        metadata: what the file says of itself; None of a foreign file.

    Raises:
        ConversionError: an input or output is float, or a shape is not static.
    """

    def __init__(
        self, model: onnx.ModelProto, declarations: Declarations, in_loop: bool = False, metadata: FileMetadata | None = None
    ) -> None:
        self.in_loop = in_loop
        self.metadata = metadata
        self.declarations = declarations
        self.opset = max((item.version for item in model.opset_import if item.domain in STANDARD_DOMAINS), default=0)
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.constants: dict[str, np.ndarray] = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(self.attributes(node)["value"])
        self.inputs: list[str] = [item.name for item in model.graph.input if item.name not in self.constants]
        self.outputs: list[str] = [item.name for item in model.graph.output]
        self._values: dict[str, onnx.ValueInfoProto] = {
            item.name: item for items in (model.graph.value_info, model.graph.input, model.graph.output) for item in items
        }
        self._producers = {name: node for node in self.nodes for name in node.output if name}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self._consumers.setdefault(name, []).append(node)
        self._grids: dict[str, Quantization | None] = {}
        self._bodies: dict[str, OnnxGraph] = {}
        for name in self.inputs + self.outputs:
            kind = "input" if name in self.inputs else "output"
            self._check_static(name, kind)
            if self._values[name].type.tensor_type.elem_type not in INTEGER_TYPES:
                raise ConversionError(
                    name, f"graph {kind}", "it is not int8, int16 or int32", "quantize inside the graph; PCM is int16 in and out"
                )

    @classmethod
    def read(cls, path: Path, declarations: Declarations) -> OnnxGraph:
        """The graph of an ONNX file.

        Raises:
            UserError: the file cannot be read or is not valid ONNX.
        """
        try:
            model = onnx.load(path)
            onnx.checker.check_model(model)
            model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except FileNotFoundError as error:
            raise UserError(f"no ONNX file at '{path}'. Run `make export` first, or give the path of one with --onnx.") from error
        except Exception as error:  # protobuf, checker and shape inference each raise their own types
            raise UserError(f"'{path}' is not a valid ONNX file: {str(error).strip().splitlines()[0]}. Export it again.") from error
        graph = cls(model, declarations, metadata=metadata_of_onnx({item.key: item.value for item in model.metadata_props}, path))
        if graph.opset < MINIMUM_OPSET:
            raise UserError(
                f"'{path}' has opset {graph.opset}; the converter reads opset {MINIMUM_OPSET} and newer. Export it at opset 21."
            )
        return graph

    def declared(self, node: NodeProto) -> Declaration | None:
        """How the op of a node is lowered where this graph stands; None for an op that has no lowering there."""
        if node.domain not in STANDARD_DOMAINS:
            return None
        return self.declarations.place(self.in_loop).get(node.op_type)

    def producer(self, name: str) -> NodeProto | None:
        """The node that makes tensor ``name``; None for inputs and initializers."""
        return self._producers.get(name)

    def consumers(self, name: str) -> list[NodeProto]:
        """The nodes that read tensor ``name``, each once."""
        return self._consumers.get(name, [])

    def body(self, scan: NodeProto) -> OnnxGraph:
        """The graph of one step of a Scan; what it reads must be its own."""
        name = scan.output[-1]
        if name not in self._bodies:
            graph: onnx.GraphProto = self.attributes(scan)["body"]
            own = {item.name for item in (*graph.input, *graph.initializer)} | {item for node in graph.node for item in node.output}
            for node in graph.node:
                if foreign := set(node.input) - own - {""}:
                    reason = f"it reads '{min(foreign)}' from outside the loop"
                    raise ConversionError(node_name(node), node.op_type, reason, "make it an input or an initializer of the body")
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
            model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
            self._bodies[name] = OnnxGraph(model, self.declarations, in_loop=True)
        return self._bodies[name]

    @staticmethod
    def attributes(node: NodeProto) -> dict[str, Any]:
        """The attributes of a node by name."""
        return {item.name: helper.get_attribute_value(item) for item in node.attribute}

    def shape(self, name: str) -> tuple[int, ...]:
        """The static ONNX shape of a tensor."""
        if name in self.constants:
            return tuple(int(size) for size in self.constants[name].shape)
        self._check_static(name, "tensor")
        return tuple(int(dim.dim_value) for dim in self._values[name].type.tensor_type.shape.dim)

    def dtype(self, name: str) -> np.dtype[Any]:
        """The type of an integer tensor; refuses a float one."""
        if name in self.constants:
            dtype = self.constants[name].dtype
            if dtype in (np.int8, np.int16, np.int32):
                return dtype
        elif (kind := self._values[name].type.tensor_type.elem_type) in INTEGER_TYPES:
            return INTEGER_TYPES[kind]
        node = self.producer(name) or (self.consumers(name) or [NodeProto(name=name, op_type="tensor")])[0]
        raise ConversionError(
            node_name(node), node.op_type, f"tensor '{name}' is not int8, int16 or int32", "keep integer ops on int32 and quantize floats"
        )

    def is_integer(self, name: str) -> bool:
        """Whether a tensor is int8, int16 or int32."""
        if name in self.constants:
            return self.constants[name].dtype in (np.int8, np.int16, np.int32)
        return name in self._values and self._values[name].type.tensor_type.elem_type in INTEGER_TYPES

    def grid_of(self, node: NodeProto) -> Quantization:
        """The grid that a QuantizeLinear or DequantizeLinear node states."""
        attributes = self.attributes(node)
        for name in node.input[1:]:
            if name and name not in self.constants:
                raise ConversionError(
                    node_name(node), node.op_type, f"'{name}' is computed at run time", "make scale and zero point initializers"
                )
        if attributes.get("block_size"):
            raise ConversionError(node_name(node), node.op_type, "block quantization", "one scale a tensor or a channel")
        scale = np.atleast_1d(self.constants[node.input[1]])
        if scale.dtype != np.float32 or scale.ndim != 1 or not np.all(np.isfinite(scale) & (scale > 0)):
            raise ConversionError(
                node_name(node), node.op_type, "scales must be finite positive float32", "export the quantizer's ranges again"
            )
        present = len(node.input) > 2 and node.input[2]
        zero = np.atleast_1d(self.constants[node.input[2]]) if present else np.zeros(scale.shape, np.int64)
        raw = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
        self.dtype(raw)
        axis = int(attributes.get("axis", 1)) % max(len(self.shape(raw)), 1) if scale.size > 1 else 0
        return Quantization(tuple(scale.tolist()), tuple(int(value) for value in zero), axis)

    def grid(self, name: str) -> Quantization | None:
        """The grid of a raw integer tensor, from the Q that makes it, the DQ that reads it, or a neighbour that only moves codes.

        Two that disagree are refused: a TFLite tensor has one scale. None when nothing states one (plain integers).
        """
        if name not in self._grids:
            self._grids[name] = self._find_grid(name, set())
        return self._grids[name]

    def _find_grid(self, name: str, seen: set[str]) -> Quantization | None:
        seen.add(name)
        stated: dict[Quantization, NodeProto] = {}
        producer = self.producer(name)
        if producer is not None and producer.op_type == "QuantizeLinear":
            stated[self.grid_of(producer)] = producer
        elif producer is not None and producer.op_type == "Scan":
            body = self.body(producer)
            if (made := body.grid(body.outputs[list(producer.output).index(name)])) is not None:
                stated[made] = producer
        for node in self.consumers(name):
            if node.op_type == "DequantizeLinear" and node.input[0] == name:
                stated[self.grid_of(node)] = node
            elif node.op_type == "Scan":
                body = self.body(node)
                for inner in (inner for outer, inner in zip(node.input, body.inputs, strict=True) if outer == name):
                    if (read := body.grid(inner)) is not None:
                        stated[read] = node
        if len(stated) > 1:
            first, second = list(stated.items())[:2]
            raise ConversionError(
                node_name(second[1]),
                second[1].op_type,
                f"tensor '{name}' is read with {second[0]} but '{node_name(first[1])}' gives it {first[0]}",
                "one scale and zero point for each integer tensor",
            )
        if stated:
            return next(iter(stated))
        if self.dtype(name) == np.int32:  # plain integers unless a DQ labels them
            return None
        neighbours = [node for node in (*self.consumers(name), producer) if node is not None and self._moves_codes(node)]
        for other in dict.fromkeys(name for node in neighbours for name in [*node.output, *node.input] if name):
            if other in seen or not self.is_integer(other) or self.dtype(other) == np.int32:
                continue
            if (found := self._find_grid(other, seen)) is not None:
                return found
        return None

    def _moves_codes(self, node: NodeProto) -> bool:
        declaration = self.declared(node)
        return declaration is not None and declaration.moves_codes

    def _check_static(self, name: str, kind: str) -> None:
        node = self.producer(name)
        where, op_type = (node_name(node), node.op_type) if node is not None else (name, f"graph {kind}")
        value = self._values.get(name)
        if value is None or not value.type.tensor_type.HasField("shape"):
            raise ConversionError(where, op_type, f"the shape of '{name}' is not known", "export with a fixed segment length")
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_value <= 0:
                given = f" ('{dim.dim_param}')" if dim.dim_param else ""
                raise ConversionError(
                    where, op_type, f"axis {axis}{given} of '{name}' is dynamic", "export with a fixed batch and segment length"
                )
