"""What every lowering needs: from ONNX tensors to TFLite tensors, and the DequantizeLinear -> op -> QuantizeLinear pattern."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from export_specs.layout import Layout
from export_specs.schema import Rewrite
from pipeline.convert.builtin_operators import BuiltinOperator, IllegalOperatorError
from pipeline.convert.declaration import Declaration
from pipeline.convert.errors import ConversionError
from pipeline.convert.flat_slopes import flat_rectifier
from pipeline.convert.flatbuffer import FlatbufferBuilder
from pipeline.convert.foreign_layouts import guessed_layouts
from pipeline.convert.graph import OnnxGraph, node_name
from pipeline.convert.layout import arrange_constant, arrange_shape, axis_in, is_rows_transpose
from pipeline.convert.quantization import Quantization
from pipeline.convert.stated_layouts import stated_layouts
from pipeline.convert.xnnpack import scale_refused

NONE = schema.ActivationFunctionType.NONE
RELU = schema.ActivationFunctionType.RELU
INT8_MINIMUM, INT16_MINIMUM = -128, -32768
BY_NEIGHBOUR = ("DequantizeLinear", "Constant")  # the nodes that read these take them in; they lower to nothing


@dataclass(frozen=True)
class Operand:
    """A raw integer tensor and the grid it is read on."""

    name: str
    grid: Quantization
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Result(Operand):
    """The raw tensor that a float op's QuantizeLinear makes, and the activation fused into the op."""

    activation: int = NONE


class Lowering:
    """The state of one conversion. Lowering functions read ``graph`` and add to ``builder`` through the methods here."""

    def __init__(
        self,
        graph: OnnxGraph,
        allowed_ops: Collection[str] | None = None,
        builder: FlatbufferBuilder | None = None,
        layouts: Mapping[str, Layout] | None = None,
        emitter: Declaration | None = None,
        for_xnnpack: bool = False,
        rewrites: Collection[Rewrite] = (),
    ) -> None:
        self.graph = graph
        self.builder = FlatbufferBuilder() if builder is None else builder
        self.layouts = _layouts(graph) if layouts is None else layouts
        self.absorbed: set[str] = set()  # first outputs of nodes that another node's lowering took in
        self._emitter = emitter  # whose lowering is at work
        self.rewrites = frozenset(rewrites)
        self.put_off: dict[str, Callable[[NodeProto, slice, int], None]] = {}  # what makes channels of a tensor where they are read
        self._for_xnnpack = for_xnnpack
        self._allowed = None if allowed_ops is None else set(allowed_ops)
        self._tensors: dict[tuple[str, Layout], int] = {}
        self._derived: dict[tuple[Any, ...], int] = {}

    def body(self, graph: OnnxGraph, builder: FlatbufferBuilder, layout: Layout) -> Lowering:
        """The conversion of one step of a loop into a subgraph; tensors of rank 3 have the given layout."""
        names = [*graph.inputs, *(name for node in graph.nodes for name in node.output)]
        layouts = {name: layout if len(graph.shape(name)) == 3 else Layout.PLAIN for name in names}
        return Lowering(graph, self._allowed, builder, layouts, self._emitter, self._for_xnnpack, self.rewrites)

    def lower(self) -> None:
        """Lower every node of the graph, in order (ONNX nodes are sorted topologically)."""
        outer = self._emitter
        for node in self.graph.nodes:
            if node.op_type in BY_NEIGHBOUR or node.output[0] in self.absorbed:
                continue
            declaration = self.graph.declared(node)
            if declaration is None:
                known = ", ".join(sorted(self.graph.declarations.place(self.graph.in_loop)))
                where = " in a loop" if self.graph.in_loop else ""
                self.refuse(node, f"there is no integer lowering for this op{where}", f"write it with {known}")
            self._emitter = declaration
            declaration.lower(self, node)
        self._emitter = outer

    def refuse(self, node: NodeProto, reason: str, help_text: str) -> NoReturn:
        """Stop the conversion at ``node``."""
        raise ConversionError(node_name(node), node.op_type, reason, help_text)

    def require(self, node: NodeProto, condition: bool, reason: str, help_text: str) -> None:
        """Stop the conversion at ``node`` unless ``condition`` holds."""
        if not condition:
            self.refuse(node, reason, help_text)

    def layout(self, name: str) -> Layout:
        """The layout of a tensor that is no constant."""
        return self.layouts[name]

    def axis(self, name: str, axis: int) -> int:
        """The TFLite axis of ONNX axis ``axis`` of tensor ``name``."""
        return axis_in(self.layout(name), axis, len(self.graph.shape(name)))

    def shape(self, name: str) -> tuple[int, ...]:
        """The TFLite shape of a tensor that is no constant."""
        return arrange_shape(self.graph.shape(name), self.layout(name))

    def tensor(self, name: str) -> int:
        """The TFLite tensor of a raw integer ONNX tensor (made at first use, under the same name)."""
        name = self._body_of_rows(name)
        layout = self.layout(name)
        if (name, layout) not in self._tensors:
            grid = self._stored_grid(name)
            dimension = axis_in(layout, grid.axis, len(self.graph.shape(name))) if grid and not grid.per_tensor else 0
            self._tensors[name, layout] = self.builder.tensor(
                name,
                self.shape(name),
                self.graph.dtype(name),
                grid.scales() if grid else None,
                grid.zero_points() if grid else None,
                dimension,
            )
        return self._tensors[name, layout]

    def tensor_layouts(self) -> dict[int, Layout]:
        """The layouts of the TFLite tensors that ONNX tensors are, by index."""
        found: dict[int, Layout] = {}
        for (_, layout), index in self._tensors.items():
            found.setdefault(index, layout)  # of an alias, the first is the tensor's own name
        return found

    def alias(self, name: str, source: str) -> bool:
        """Let the tensor ``name`` be that of ``source``, if shape and grid in the file are the same and neither is at the graph's edge."""
        name, source = self._body_of_rows(name), self._body_of_rows(source)
        edges = {*self.graph.inputs, *self.graph.outputs} & {name, source}
        if edges or self.shape(name) != self.shape(source) or self._stored_grid(name) != self._stored_grid(source):
            return False
        self._tensors[name, self.layout(name)] = self.tensor(source)
        return True

    def operand(self, name: str, like: str) -> int:
        """The TFLite tensor of a raw input of an elementwise op whose output is ``like``: a constant takes that tensor's layout."""
        if name not in self.graph.constants:
            return self.tensor(name)
        layout = self.layout(like)
        if (name, layout) not in self._tensors:
            value = arrange_constant(self.graph.constants[name], layout)
            grid = self.graph.grid(name)
            self._tensors[name, layout] = self.constant(name, value if value.ndim else value.reshape(1), grid)
        return self._tensors[name, layout]

    def constant(self, name: str, value: np.ndarray, grid: Quantization | None = None, quantized_dimension: int = 0) -> int:
        """A new constant tensor of a TFLite layout."""
        scale, zero = (grid.scales(), grid.zero_points()) if grid else (None, None)
        return self.builder.tensor(name, value.shape, value.dtype, scale, zero, quantized_dimension, value)

    def derived(self, key: tuple[Any, ...], make: Callable[[], int]) -> int:
        """A tensor that exists in the TFLite file only (say a padded input), made once for each ``key``."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def emit(self, node: NodeProto, builtin: BuiltinOperator, inputs: list[int], outputs: list[int], **options: Any) -> None:
        """Add a TFLite operator for ``node``, with fields of its table of options.

        Refused are an operator that the node's lowering did not declare, one that the target does not allow, and operands that its kernels
        do not take. So is one whose scales XNNPACK does not take, if the file is made for it.
        """
        name, emitter = builtin.name, self._emitter
        declared = emitter is not None and builtin in emitter.emits
        self.require(node, declared, f"its lowering emits {name}, which it does not declare", f"add {name} to what it declares")
        if self._allowed is not None and name not in self._allowed:
            allowed = f"the target allows {', '.join(sorted(self._allowed))}"
            self.refuse(node, f"it needs the TFLite op {name}, which the target does not allow", allowed)
        try:
            self.builder.operator(builtin, inputs, outputs, options)
        except IllegalOperatorError as fault:
            self.refuse(node, fault.reason, fault.help_text)
        if self._for_xnnpack:
            kinds = [self.builder.kind(index) for index in inputs if index >= 0]
            reason = scale_refused(builtin, kinds, self.builder.kind(outputs[0]), options)
            help_text = "another scale, or a target without litert-xnnpack: LiteRT's own kernel would compute it many times slower"
            self.require(node, reason is None, f"{name}: {reason}", help_text)

    def dequantized(self, node: NodeProto, position: int) -> Operand:
        """Input ``position`` of a float op: the raw tensor behind its DequantizeLinear. Anything else would be a float tensor."""
        name = node.input[position]
        producer = self.graph.producer(name)
        if producer is None or producer.op_type != "DequantizeLinear":
            what = f"'{node_name(producer)}' ({producer.op_type})" if producer is not None else "a float initializer"
            self.refuse(
                node,
                f"its input '{name}' comes from {what}, not from DequantizeLinear",
                "put QuantizeLinear and DequantizeLinear between the two",
            )
        raw = producer.input[0]
        return Operand(raw, self.graph.grid_of(producer), self.graph.dtype(raw))

    def quantized(self, node: NodeProto, fuse_relu: bool = False) -> Result:
        """The output of a float op: the raw tensor of the one QuantizeLinear that reads it, after an optional Relu to fuse, or before a
        LeakyRelu that is one on this grid (:mod:`pipeline.convert.flat_slopes`).

        A fused Relu clamps at the code of real 0, the zero point, which is what QuantizeLinear(Relu(x)) gives for every x.
        """
        edge, activation = node.output[0], NONE
        readers = self.graph.consumers(edge)
        if fuse_relu and len(readers) == 1 and readers[0].op_type == "Relu":
            edge, activation = readers[0].output[0], RELU
            self.absorbed.add(edge)
            readers = self.graph.consumers(edge)
        if len(readers) != 1 or readers[0].op_type != "QuantizeLinear" or edge in self.graph.outputs:
            names = ", ".join(f"'{node_name(item)}' ({item.op_type})" for item in readers) or "the graph's output"
            self.refuse(
                node, f"its float output '{edge}' goes to {names}, not to exactly one QuantizeLinear", "add a QuantizeLinear after it"
            )
        raw = readers[0].output[0]
        self.absorbed.add(raw)
        grid = self.graph.grid_of(readers[0])
        self.graph.grid(raw)  # refuses a disagreeing reader
        if fuse_relu and activation == NONE and (rectified := flat_rectifier(self.graph, raw)) is not None:
            raw, activation = rectified.name, RELU
            self.absorbed |= {rectified.node.output[0], raw}
        if activation == RELU and self.graph.dtype(raw) == np.int8 and grid.zero_point[0] == INT8_MINIMUM:
            activation = NONE  # saturation at -128 already is the clamp
        return Result(raw, grid, self.graph.dtype(raw), activation)

    def require_grid(self, node: NodeProto, result: Operand, scale: float, zero_point: int) -> None:
        """An output lies on the one grid that the kernel has; ``scale`` is one over a whole number."""
        fixed = (result.grid.scale[0], result.grid.zero_point[0]) == (scale, zero_point)
        help_text = f"train and export it with scale 1/{round(1 / scale)} and zero point {zero_point}, which the kernel fixes"
        self.require(node, fixed, f"its output has {result.grid}", help_text)

    def _body_of_rows(self, name: str) -> str:
        """The FRAMES tensor that a ROWS tensor is, at the other end of its Transpose; any other name as it is."""
        if self.layouts.get(name) is not Layout.ROWS:
            return name
        producer = self.graph.producer(name)
        if producer is not None and is_rows_transpose(self.graph, producer):
            return str(producer.input[0])
        return str(next(node.output[0] for node in self.graph.consumers(name) if is_rows_transpose(self.graph, node)))

    def _stored_grid(self, name: str) -> Quantization | None:
        """The grid written into the file: int32 carries one only where MAXIMUM makes it (TFLM rejects it on ADD and SUB)."""
        grid = self.graph.grid(name)
        if grid is not None and self.graph.dtype(name) == np.int32:
            producer = self.graph.producer(name)
            if producer is not None and producer.op_type != "Max":
                return None
        return grid


def _layouts(graph: OnnxGraph) -> dict[str, Layout]:
    """As the file tells them; of one that does not, a foreign file or an old one, by guess."""
    stated = {} if graph.metadata is None else graph.metadata.layouts
    return stated_layouts(graph, stated) if stated else guessed_layouts(graph)
