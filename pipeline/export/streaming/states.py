"""What a streaming graph has of each tensor at a step, and what it carries to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from export_specs.file_metadata import StreamState
from export_specs.layout import Layout
from pipeline.export.qdq_graph import INT8, INT32, GraphBuilder
from pipeline.export.streaming.whole import Time, WholeGraph

_DTYPES: dict[int, Literal["int8", "int16", "int32"]] = {
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
}


@dataclass(frozen=True)
class Window:
    """A tensor ``name`` of the streaming graph with ``count`` blocks of a tensor of the whole graph.

    At step n they are the blocks from ``first`` + n * hop on.
    """

    name: str
    first: int
    count: int

    @property
    def end(self) -> int:
        """The block after the last."""
        return self.first + self.count


class States:
    """The inputs and outputs by which a streaming graph remembers, and the nodes that use them."""

    def __init__(self, whole: WholeGraph, graph: GraphBuilder, hop: int) -> None:
        self._whole, self._graph, self._hop = whole, graph, hop
        self.table: list[StreamState] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: dict[str, onnx.ValueInfoProto] = {}
        self._with_past: dict[str, Window] = {}

    def shape(self, name: str, time: Time, count: int) -> list[int]:
        """The shape of ``count`` blocks of a tensor of the whole graph."""
        shape = self._whole.shape(name)
        shape[time.axis] = count * time.unit
        return shape

    def with_past(self, name: str, window: Window, time: Time, span: int, initial: int) -> Window:
        """A window of the tensor ``name`` and the ``span`` blocks before it, by a shift state."""
        past = f"{window.name}/last_{span}"
        if past not in self._with_past:
            both = self._graph.concat([past, window.name], f"{past}/and_now", time.axis)
            following = window.name
            if window.count != span or window.name not in self._graph.made:  # an input cannot be an output
                bounds = [window.count * time.unit], [(window.count + span) * time.unit], [time.axis]
                following = self._graph.slice(both, *bounds, f"{past}/next")
            shape = self.shape(name, time, span)
            layout = Layout.PLAIN if name in self._whole.inputs else Layout.FRAMES
            self._carry(shape, self._whole.kind(name), layout, kind="shift", input=past, output=following, initial=initial)
            self._with_past[past] = Window(both, window.first - span, window.count + span)
        return self._with_past[past]

    def taps(self, name: str, window: Window, time: Time, delays: list[int], initial: int) -> str:
        """A window of a hop of the tensor ``name``, and before it those that came so many ``delays`` of blocks earlier, by a delay line."""
        inputs = [f"{window.name}/ago_{delay}" for delay in delays]
        shape, dtype = self.shape(name, time, self._hop), self._whole.kind(name)
        for tap, delay in zip(inputs, delays, strict=True):
            if all(state.input != tap for state in self.table):
                self._carry(shape, dtype, kind="line", input=tap, output=window.name, delay=delay, initial=initial)
        return self._graph.concat([*inputs, window.name], f"{window.name}/taps_{'_'.join(map(str, delays))}", time.axis)

    def begun(self, pcm: str, ahead: int, time: Time) -> str:
        """int8 [1, 1, hop]: of a tensor that comes ``ahead`` blocks late 0 for the blocks before its first, else 1.

        The ones are made of the input ``pcm``, times 0 and plus 1: the converter joins no constants.
        """
        past, graph, hop = f"begun/last_{ahead}", self._graph, self._hop
        if "begun/ones" not in graph.made:
            none = graph.node(
                "Mul", [graph.node("Cast", [pcm], "begun/pcm", to=INT32), graph.const("begun/0", [0], np.int32)], "begun/none"
            )
            one = graph.node("Cast", [graph.node("Add", [none, graph.const("begun/1", [1], np.int32)], "begun/one")], "begun/code", to=INT8)
            graph.slice(graph.reshape(one, [1, 1, hop * time.unit], "begun/samples", Layout.FRAMES), [0], [hop], [2], "begun/ones")
        if f"{past}/now" not in graph.made:
            both = graph.concat([past, "begun/ones"], f"{past}/and_now", 2)
            graph.slice(both, [0], [hop], [2], f"{past}/now")
            following = graph.slice(both, [hop], [hop + ahead], [2], f"{past}/next")
            self._carry([1, 1, ahead], INT8, kind="shift", input=past, output=following)
        return f"{past}/now"

    def _carry(self, shape: list[int], dtype: int, layout: Layout = Layout.FRAMES, **fields: Any) -> None:
        """Declare the input and the output of a state of this shape, type of ONNX and layout, with these fields of :class:`StreamState`."""
        state = StreamState(**fields, channels=shape[1] if len(shape) == 3 else 1, frames=shape[-1], dtype=_DTYPES[dtype])
        self.table.append(state)
        self._graph.layouts[state.input] = layout
        self.inputs.append(helper.make_tensor_value_info(state.input, dtype, shape))
        self.outputs[state.output] = helper.make_tensor_value_info(state.output, dtype, shape)
