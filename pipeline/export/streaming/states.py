"""What a streaming graph has of each tensor at a step, and what it carries to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import onnx
from onnx import TensorProto, helper

from export_specs.file_metadata import StreamState
from pipeline.export.qdq_graph import GraphBuilder
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
        self._with_past: dict[tuple[str, int], Window] = {}

    def shape(self, name: str, time: Time, count: int) -> list[int]:
        """The shape of ``count`` blocks of a tensor of the whole graph."""
        shape = self._whole.shape(name)
        shape[time.axis] = count * time.unit
        return shape

    def with_past(self, name: str, window: Window, time: Time, span: int, initial: int) -> Window:
        """A window of the tensor ``name`` and the ``span`` blocks before it, by a shift state."""
        if (name, span) not in self._with_past:
            past = f"{name}/last_{span}"
            both = self._graph.concat([past, window.name], f"{past}/and_now", time.axis)
            following = window.name
            if window.count != span or window.name not in self._graph.made:  # an input cannot be an output
                bounds = [window.count * time.unit], [(window.count + span) * time.unit], [time.axis]
                following = self._graph.slice(both, *bounds, f"{past}/next")
            self._carry(name, time, span, kind="shift", input=past, output=following, initial=initial)
            self._with_past[name, span] = Window(both, window.first - span, window.count + span)
        return self._with_past[name, span]

    def taps(self, name: str, window: Window, time: Time, delays: list[int], initial: int) -> str:
        """A window of a hop of the tensor ``name``, and before it those that came so many ``delays`` of blocks earlier, by a delay line."""
        inputs = [f"{name}/ago_{delay}" for delay in delays]
        for tap, delay in zip(inputs, delays, strict=True):
            if all(state.input != tap for state in self.table):
                self._carry(name, time, self._hop, kind="line", input=tap, output=window.name, delay=delay, initial=initial)
        return self._graph.concat([*inputs, window.name], f"{name}/taps_{'_'.join(map(str, delays))}", time.axis)

    def _carry(self, name: str, time: Time, count: int, **fields: Any) -> None:
        """Declare a state of ``count`` blocks of the tensor ``name``, with these fields of :class:`StreamState`."""
        shape, kind = self.shape(name, time, count), self._whole.kind(name)
        channels = shape[1] if len(shape) == 3 else 1
        state = StreamState(**fields, channels=channels, frames=shape[-1], dtype=_DTYPES[kind])
        self.table.append(state)
        self.inputs.append(helper.make_tensor_value_info(state.input, kind, shape))
        self.outputs[state.output] = helper.make_tensor_value_info(state.output, kind, shape)
