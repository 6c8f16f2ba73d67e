"""A read-only view of the graph of a whole segment: constants, shapes, who makes and who reads a tensor, and where its time is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NoReturn

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper, shape_inference

from export_specs.foundation.errors import UserError


def refuse(node: NodeProto, reason: str) -> NoReturn:
    """Say that a node cannot be run step by step.

    Raises:
        UserError: always.
    """
    raise UserError(f"the network cannot be streamed: node '{node.output[0]}' ({node.op_type}): {reason}")


@dataclass(frozen=True)
class Time:
    """Where the time of a tensor is. ``unit`` elements of its axis ``axis`` are one block: one frame, or the samples of a stride."""

    axis: int
    unit: int = 1


class WholeGraph:
    """The graph of an ONNX model with static shapes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        self.nodes: list[NodeProto] = list(graph.node)
        self.inputs: list[str] = [item.name for item in graph.input]
        self.outputs: list[str] = [item.name for item in graph.output]
        self.initializers = {item.name: item for item in graph.initializer}
        self._values = {item.name: item for items in (graph.value_info, graph.input, graph.output) for item in items}
        self._producers = {name: node for node in self.nodes for name in node.output}

    def producer(self, name: str) -> NodeProto | None:
        """The node that makes a tensor; None of inputs and initializers."""
        return self._producers.get(name)

    def readers(self, name: str) -> list[NodeProto]:
        """The nodes that read a tensor, each once."""
        return self._readers.get(name, [])

    @cached_property
    def _readers(self) -> dict[str, list[NodeProto]]:
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    def constant(self, name: str) -> np.ndarray:
        """The value of an initializer."""
        return numpy_helper.to_array(self.initializers[name])

    def shape(self, name: str) -> list[int]:
        """The shape of a tensor."""
        if name in self.initializers:
            return list(self.initializers[name].dims)
        return [size.dim_value for size in self._values[name].type.tensor_type.shape.dim]

    def kind(self, name: str) -> int:
        """ONNX's number of a tensor's type."""
        return int(self._values[name].type.tensor_type.elem_type)

    def zero_point(self, name: str) -> int:
        """The code of 0 of a raw tensor, by the nodes that quantize or dequantize it; 0 where there are none."""
        producer = self.producer(name)
        around = [node for node in self.readers(name) if node.op_type == "DequantizeLinear"]
        if producer is not None and producer.op_type == "QuantizeLinear":
            around.append(producer)
        return int(self.constant(around[0].input[2]).ravel()[0]) if around else 0

    @staticmethod
    def attributes(node: NodeProto) -> dict[str, Any]:
        """The attributes of a node by name."""
        return {item.name: helper.get_attribute_value(item) for item in node.attribute}

    def reshaped_time(self, node: NodeProto, time: Time) -> Time:
        """Where a Reshape puts the time.

        Raises:
            UserError: it splits blocks.
        """
        before, after = self.shape(node.input[0]), self.shape(node.output[0])
        inner = time.unit * prod(before[time.axis + 1 :])  # elements of a block
        for axis in reversed(range(len(after))):
            rest = prod(after[axis + 1 :])
            if prod(after[:axis]) == prod(before[: time.axis]) and inner % rest == 0 and after[axis] % (inner // rest) == 0:
                return Time(axis, inner // rest)
        refuse(node, f"it reshapes {before} to {after} and tears frames apart")
