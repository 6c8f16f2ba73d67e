"""A small builder of QDQ ONNX graphs: float ops stand only between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export_specs.file_metadata import ENTRY, FileMetadata
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout

OPSET, IR_VERSION = 21, 10
CONCAT_INPUTS = 10  # the most that TFLM joins at once


@dataclass(frozen=True)
class Value:
    """A tensor [1, C, T] of the graph: integer codes with their grid, or (``scale`` None) a float edge not yet quantized.

    ``sequences``: of how many sequences of equal length the T frames are the chain; None where a layer leaves that as its input has it.
    """

    name: str
    channels: int
    frames: int
    scale: np.float32 | None = None
    zero_point: int = 0
    sequences: int | None = None

    def grid(self) -> np.float32:
        """The scale of a quantized value.

        Raises:
            UserError: the value is a float edge.
        """
        if self.scale is None:
            raise UserError(f"tensor {self.name} reaches an op without having been quantized")
        return self.scale


@dataclass
class GraphBuilder:
    """Collects nodes and initializers; every method returns the name of the tensor it makes."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    dequantized: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    layouts: dict[str, Layout] = field(default_factory=dict)  # that no node tells; written into the file's metadata
    shared: dict[str, Value] = field(default_factory=dict)  # what several layers make of one input, by its name
    narrow_ends: bool = False  # whether samples are taken apart and put together without int32, which changes no code

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """One node, named as its only output."""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        self.made.add(output)
        return output

    def const(self, name: str, value: Any, dtype: Any) -> str:
        """An initializer; the same name is written once."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(np.asarray(value, dtype=dtype)), name)
        return name

    def quantize(self, edge: str, output: str, scale: float | np.float32, zero_point: int, dtype: Any = np.int8) -> str:
        """QuantizeLinear of a float edge."""
        return self.node("QuantizeLinear", [edge, *self._grid(output, scale, zero_point, dtype)], output)

    def dequantize(self, name: str, scale: Any, zero_point: int = 0, dtype: Any = np.int8, axis: int | None = None) -> str:
        """DequantizeLinear of an integer tensor, made once a tensor; per channel where ``axis`` is given."""
        if name not in self.dequantized:
            attributes = {} if axis is None else {"axis": axis}
            output = f"{name}/dequantized"
            operands = [name, *self._grid(name, scale, zero_point, dtype)]
            self.dequantized[name] = self.node("DequantizeLinear", operands, output, **attributes)
        return self.dequantized[name]

    def read(self, value: Value) -> str:
        """The float edge of a quantized activation."""
        return self.dequantize(value.name, value.grid(), value.zero_point)

    def write(self, edge: str, name: str, channels: int, frames: int, quantizer: Any) -> Value:
        """Quantize a float edge on the grid of a trained quantizer, or leave it to the consumer where that is an identity."""
        if not hasattr(quantizer, "grid"):
            return Value(edge, channels, frames)
        scale, zero_point = quantizer.grid()
        return self.write_on(edge, name, channels, frames, np.float32(scale.item()), int(zero_point.item()))

    def write_on(self, edge: str, name: str, channels: int, frames: int, scale: np.float32, zero_point: int) -> Value:
        """Quantize a float edge on a given int8 grid."""
        self.quantize(edge, name, scale, zero_point)
        return Value(name, channels, frames, scale, zero_point)

    def weight(self, name: str, codes: np.ndarray[Any, Any], scale: np.ndarray[Any, Any], axis: int) -> str:
        """The float edge of an int8 weight with a scale for each index of ``axis``."""
        return self.dequantize(self.const(name, codes, np.int8), scale, axis=axis)

    def bias(self, name: str, bias: np.ndarray[Any, Any], input_scale: np.float32, weight_scale: np.ndarray[Any, Any]) -> str:
        """The float edge of an int32 bias at input_scale * weight_scale."""
        scale = (input_scale * weight_scale).astype(np.float32)
        codes = np.clip(np.rint(bias.astype(np.float64) / scale), -(2**30), 2**30)
        return self.integer_bias(name, codes, input_scale, weight_scale)

    def integer_bias(self, name: str, codes: np.ndarray[Any, Any], input_scale: np.float32, weight_scale: np.ndarray[Any, Any]) -> str:
        """The float edge of the int32 codes of a bias at input_scale * weight_scale."""
        scale = (input_scale * weight_scale).astype(np.float32)
        return self.dequantize(self.const(name, codes, np.int32), scale, dtype=np.int32, axis=0)

    def as_sequences(self, value: Value) -> str:
        """A quantized activation as sequences [1, N, L, C]."""
        assert value.sequences is not None
        rows = self.node("Transpose", [value.name], f"{value.name}/rows", perm=[0, 2, 1])
        shape = [1, value.sequences, value.frames // value.sequences, value.channels]
        return self.reshape(rows, shape, f"{value.name}/sequences")

    def as_frames(self, sequences: str, value: Value) -> Value:
        """Sequences [1, N, L, C] of codes as the activation ``value``, whose node this makes."""
        rows = self.reshape(sequences, [1, value.frames, value.channels], f"{value.name}/rows_of_all", Layout.ROWS)
        self.node("Transpose", [rows], value.name, perm=[0, 2, 1])
        return value

    def reshape(self, name: str, shape: Sequence[int], output: str, layout: Layout = Layout.PLAIN) -> str:
        """Reshape to a constant shape; ``layout`` says what its axes are."""
        self.layouts[output] = layout
        return self.node("Reshape", [name, self.const("shape_" + "x".join(map(str, shape)), shape, np.int64)], output)

    def concat(self, names: Sequence[str], output: str, axis: int) -> str:
        """Concat of any number of tensors, in groups where TFLM could not join them at once."""
        if len(names) > CONCAT_INPUTS:
            groups = [names[first : first + CONCAT_INPUTS] for first in range(0, len(names), CONCAT_INPUTS)]
            names = [self.concat(group, f"group_{number}/{output}", axis) for number, group in enumerate(groups)]
            return self.concat(names, output, axis)
        return names[0] if len(names) == 1 else self.node("Concat", names, output, axis=axis)

    def pad(self, name: str, pads: Sequence[int], zero_point: int, output: str) -> str:
        """Pad of int8 codes, with 0 in their grid, by the amounts before and then after each axis; nothing where all are 0."""
        if not any(pads):
            return name
        amounts = self.const("pads_" + "_".join(map(str, pads)), pads, np.int64)
        return self.node("Pad", [name, amounts, self.const(f"pads/{zero_point}", zero_point, np.int8)], output)

    def slice(self, name: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], output: str) -> str:
        """Slice of codes with constant bounds."""
        bounds = [self.const("bounds_" + "_".join(map(str, values)), values, np.int64) for values in (starts, ends, axes)]
        return self.node("Slice", [name, *bounds], output)

    def model(self, name: str, inputs: list[Any], outputs: list[Any], metadata: FileMetadata | None = None) -> onnx.ModelProto:
        """The checked model. Inputs whose layout is not told are plain."""
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.initializers.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="fqss")
        if metadata is not None:
            layouts = {**{info.name: Layout.PLAIN for info in inputs}, **self.layouts}
            helper.set_model_props(model, {ENTRY: metadata.model_copy(update={"layouts": layouts}).to_json()})
        onnx.checker.check_model(model, full_check=True)
        return model

    def _grid(self, name: str, scale: Any, zero_point: int, dtype: Any) -> tuple[str, str]:
        points = np.full(np.shape(scale), zero_point)
        return self.const(f"{name}/scale", scale, np.float32), self.const(f"{name}/zero_point", points, dtype)


def layer_name(name: str) -> str:
    """The layer's own name, without the number of its call: the calls share its weights."""
    return name.partition("#")[0]


def tensor_info(name: str, kind: int, shape: list[int]) -> onnx.ValueInfoProto:
    """Declaration of a graph input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


INT16, INT32, INT8 = TensorProto.INT16, TensorProto.INT32, TensorProto.INT8
