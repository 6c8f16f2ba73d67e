"""From the graph of a whole segment to the graph of one step.

Every node is written again on the blocks of one step, in its own place and under its own name, so that all of its arithmetic is the whole
graph's. Only where a convolution reads the past does something come in: the blocks before, which the graph was given as an input and
gives on as an output (:mod:`pipeline.export.streaming.states`). What pads the whole graph before its first frame is what a state begins
with; what pads it behind its last frame has no counterpart, because a stream has no end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import NodeProto, helper

from export_specs.file_metadata import FileMetadata, Streaming, metadata_of_onnx
from pipeline.export.qdq_graph import GraphBuilder
from pipeline.export.streaming.states import States, Window
from pipeline.export.streaming.whole import Time, WholeGraph, refuse

ELEMENTWISE = ("Cast", "QuantizeLinear", "Add", "Sub", "Mul", "Div", "Min", "Max", "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Gather")


def to_streaming(model: onnx.ModelProto, hop: int) -> onnx.ModelProto:
    """The QDQ model of one step of ``hop`` frames, from that of a whole segment as :func:`pipeline.export.qdq.build_model` makes it.

    Inputs: ``pcm`` int16 [1, hop * stride] and the states; outputs: ``separated`` int16 [1, S, hop * stride] and the states of the next
    step. The metadata tell which is which (:class:`export_specs.file_metadata.Streaming`). A stream that begins with silence gives the
    samples that the whole graph gives, bit for bit, but for the end of a segment, which the whole graph pads.

    Raises:
        UserError: a node's result depends on later frames than it may, or on all of them, or nothing is known of it; says which.
    """
    return _Rewriting(model, hop).model()


class _Rewriting:
    def __init__(self, model: onnx.ModelProto, hop: int) -> None:
        self._whole, self._graph, self._hop = WholeGraph(model), GraphBuilder(), hop
        self._states = States(self._whole, self._graph, hop)
        self._times: dict[str, Time] = {}  # of the whole graph's tensors that depend on the input
        self._windows: dict[str, Window] = {}  # of those that are not results of DequantizeLinear: these are made where they are read
        self._depth: dict[str, int] = {}  # blocks that each depends on
        self._metadata = metadata_of_onnx({item.key: item.value for item in model.metadata_props}, "the model")
        self._lookback = self._begin()
        for node in self._whole.nodes:
            self._rewrite(node)

    def model(self) -> onnx.ModelProto:
        """The checked model."""
        (result,), pcm = self._whole.outputs, self._whole.inputs[0]
        window, stride = self._windows[result], self._times[pcm].unit
        infos = [
            helper.make_tensor_value_info(name, self._whole.kind(name), self._states.shape(name, self._times[name], self._hop))
            for name in (pcm, result)
        ]
        late = self._lookback - window.first
        streaming = Streaming(
            hop_frames=self._hop,
            latency_samples=(self._hop + late) * stride,
            context_samples=self._depth[result] * stride,
            states=tuple(self._states.table),
        )
        assert self._metadata is not None, "the exporter writes them"
        self._graph.layouts |= {name: layout for name, layout in self._metadata.layouts.items() if name in self._graph.made}
        stated = self._metadata.model_dump() | {"segment_samples": self._hop * stride, "streaming": streaming, "input_gain": None}
        inputs, outputs = [infos[0], *self._states.inputs], [infos[1], *self._states.outputs.values()]
        return self._graph.model(self._metadata.model, inputs, outputs, FileMetadata(**stated))

    def _begin(self) -> int:
        """Enter the input with the samples that the encoder's first window has before it; how many blocks these are."""
        (pcm,) = self._whole.inputs
        encoder = next(node for node in self._whole.nodes if node.op_type == "Conv")
        stride = int(self._whole.attributes(encoder).get("strides", [1])[0])
        kernel = self._whole.shape(encoder.input[1])[2]
        if kernel % stride:
            refuse(encoder, f"its kernel of {kernel} samples is no multiple of its stride of {stride}")
        lookback = kernel // stride - 1
        self._times[pcm], self._depth[pcm] = Time(len(self._whole.shape(pcm)) - 1, stride), 1
        window = Window(pcm, lookback, self._hop)
        self._windows[pcm] = self._states.with_past(pcm, window, self._times[pcm], lookback, 0) if lookback else window
        return lookback

    def _rewrite(self, node: NodeProto) -> None:
        streams = [name for name in node.input if name in self._times]
        if not streams:
            return  # a constant, written where it is read
        (result,) = node.output
        self._depth[result] = max(self._depth[name] for name in streams)
        if node.op_type == "DequantizeLinear":
            self._times[result] = self._times[streams[0]]
        elif node.op_type in ELEMENTWISE:
            self._copy(node, streams, self._times[streams[0]])
        elif node.op_type in _HANDLERS:
            _HANDLERS[node.op_type](self, node, streams)
        else:
            refuse(node, "it may join frames that are not there yet, for nothing is known of what it does with time")

    def _copy(self, node: NodeProto, streams: list[str], time: Time, **changed: str) -> None:
        """The node on the blocks that its inputs have in common, as many as the longest has; ``changed`` operands by their old names."""
        self._check_constants(node, streams)
        longest = max((self._window(name) for name in streams), key=lambda window: (window.count, -window.first))
        inputs = [changed.get(name) or self._read(name, longest.first, longest.count) for name in node.input]
        self._write(node, inputs, Window(node.output[0], longest.first, longest.count), time, **self._whole.attributes(node))

    def _write(self, node: NodeProto, inputs: list[str], window: Window, time: Time, **attributes: object) -> None:
        self._graph.node(node.op_type, inputs, window.name, **attributes)
        self._windows[node.output[0]], self._times[node.output[0]] = window, time

    def _check_constants(self, node: NodeProto, streams: list[str]) -> None:
        shape, time = self._whole.shape(node.output[0]), self._times[streams[0]]
        for name in node.input if node.op_type in ELEMENTWISE else ():
            if name in self._whole.initializers and node.op_type != "Gather":
                own = self._whole.shape(name)
                if len(own) >= len(shape) - time.axis and own[time.axis - len(shape)] != 1:
                    refuse(node, f"'{name}' differs from frame to frame")

    def _window(self, name: str) -> Window:
        producer = self._whole.producer(name)
        dequantized = producer is not None and producer.op_type == "DequantizeLinear"
        return self._windows[producer.input[0] if producer is not None and dequantized else name]

    def _read(self, name: str, first: int, count: int) -> str:
        """The blocks of a tensor of the whole graph from ``first`` on, where the wanted are present ones or past; or a constant."""
        producer = self._whole.producer(name)
        if name in self._whole.initializers:
            self._graph.initializers[name] = self._whole.initializers[name]
            return name
        if producer is not None and producer.op_type == "DequantizeLinear":
            return self._dequantized(producer, self._read(producer.input[0], first, count))
        window = self._windows[name]
        if (window.first, window.count) == (first, count):
            return window.name
        if first < window.first:
            window = self._with_past(name, window.first - first)
        if first + count > window.end:
            refuse(self._whole.nodes[-1], f"'{name}' is read before it is there")
        if (window.first, window.count) == (first, count):
            return window.name
        time, late = self._times[name], f"{name}/from_{first}_{count}"
        if late not in self._graph.made:
            bounds = (first - window.first) * time.unit, (first - window.first + count) * time.unit
            self._graph.slice(window.name, [bounds[0]], [bounds[1]], [time.axis], late)
        return late

    def _dequantized(self, node: NodeProto, raw: str) -> str:
        name = f"{raw}/dequantized"
        if name not in self._graph.made:
            self._graph.node(
                "DequantizeLinear", [raw, *(self._read(item, 0, 0) for item in node.input[1:])], name, **self._whole.attributes(node)
            )
        return name

    def _with_past(self, name: str, span: int) -> Window:
        return self._states.with_past(name, self._windows[name], self._times[name], span, self._initial(name))

    def _initial(self, name: str) -> int:
        """The code of 0, which is what the whole graph pads with."""
        producer = self._whole.producer(name)
        padded = producer is not None and producer.op_type == "Pad"
        return self._whole.zero_point(name) if not padded or producer is None else int(self._whole.constant(producer.input[2]).item())

    def _concat(self, node: NodeProto, streams: list[str]) -> None:
        time = self._times[streams[0]]
        if self._whole.attributes(node)["axis"] % len(self._whole.shape(node.output[0])) == time.axis:
            refuse(node, "it joins along the time")
        self._copy(node, streams, time)

    def _slice(self, node: NodeProto, streams: list[str]) -> None:
        time, rank = self._times[streams[0]], len(self._whole.shape(node.output[0]))
        if time.axis in {int(axis) % rank for axis in self._whole.constant(node.input[3])}:
            refuse(node, "it cuts along the time")
        self._copy(node, streams, time)

    def _reduce(self, node: NodeProto, streams: list[str]) -> None:
        time, rank = self._times[streams[0]], len(self._whole.shape(streams[0]))
        axes = self._whole.constant(node.input[1]) if len(node.input) > 1 else np.arange(rank)
        if time.axis in {int(axis) % rank for axis in axes}:
            refuse(
                node, "its sum is over all frames of a segment, as of a norm over the segment (gLN); take one over each frame's channels"
            )
        if not self._whole.attributes(node).get("keepdims", 1):
            refuse(node, "it drops an axis; keep it (keepdims)")
        self._copy(node, streams, time)

    def _reshape(self, node: NodeProto, streams: list[str]) -> None:
        time = self._whole.reshaped_time(node, self._times[streams[0]])
        shape = self._states.shape(node.output[0], time, self._window(streams[0]).count)
        name = self._graph.const("shape_" + "x".join(map(str, shape)), shape, np.int64)
        self._copy(node, streams, time, **{node.input[1]: name})

    def _transpose(self, node: NodeProto, streams: list[str]) -> None:
        time = self._times[streams[0]]
        self._copy(node, streams, Time(self._whole.attributes(node)["perm"].index(time.axis), time.unit))

    def _pad(self, node: NodeProto, streams: list[str]) -> None:
        """Blocks before the first are what a state begins with: from here on the same blocks have later numbers."""
        source, result = node.input[0], node.output[0]
        time, window = self._times[source], self._windows[source]
        before, after = self._whole.constant(node.input[1]).reshape(2, -1).tolist()
        if any(before[axis] or after[axis] for axis in range(len(before)) if axis != time.axis) or time.unit != 1:
            refuse(node, "it pads something else than frames")
        if not before[time.axis] and self._is_unread(node, after[time.axis]):
            self._depth[result] -= after[time.axis]  # as many of a convolution's taps do not read it
            amounts = self._graph.const("pads_" + "_".join(map(str, before + after)), before + after, np.int64)
            inputs = [window.name, amounts, *(self._read(name, 0, 0) for name in node.input[2:])]
            self._write(node, inputs, Window(result, window.first, window.count + after[time.axis]), time)
            return
        if before[time.axis]:
            self._begin_with_zeros(source)
        window = self._windows[source]
        self._windows[result], self._times[result] = Window(window.name, window.first + before[time.axis], window.count), time

    def _begin_with_zeros(self, name: str) -> None:
        """Where a step has blocks from before the whole graph's first, because the network looks ahead: make them what it pads with."""
        window, made = self._windows[name], f"{name}/begun"
        if window.first >= 0 or window.name == made:
            return
        quantize = self._producer(name)
        if quantize.op_type != "QuantizeLinear" or window.count != self._hop:
            refuse(quantize, "what is padded is not quantized here")
        edge = self._graph.dequantize(window.name, *self._grid(quantize))
        (pcm,) = self._whole.inputs
        begun = self._graph.dequantize(self._states.begun(pcm, -window.first, self._times[pcm]), np.float32(1))
        product = self._graph.node("Mul", [edge, begun], f"{made}/product")
        self._graph.node("QuantizeLinear", [product, *(self._read(item, 0, 0) for item in quantize.input[1:])], made)
        self._windows[name] = Window(made, window.first, window.count)

    def _grid(self, quantize: NodeProto) -> tuple[np.ndarray, int]:
        scale, zero_point = (self._whole.constant(name) for name in quantize.input[1:])
        return scale, int(zero_point.item())

    def _is_unread(self, node: NodeProto, after: int) -> bool:
        """Whether the frames behind the last meet nothing but weights of 0, so that a step may have any there."""
        reads = self._convolutions(node.output[0], 0)
        channels = self._whole.shape(node.output[0])[1]
        for conv, offset in reads:
            codes = self._whole.constant(self._producer(conv.input[1]).input[0])
            if conv.op_type != "Conv" or codes[:, offset : offset + channels, codes.shape[2] - after :].any():
                return False
        return bool(reads)

    def _convolutions(self, name: str, offset: int) -> list[tuple[NodeProto, int]]:
        """The nodes that compute with a tensor's codes, and the channel of their input at which it stands; Concat only moves it."""
        found: list[tuple[NodeProto, int]] = []
        for reader in self._whole.readers(name):
            if reader.op_type == "Concat":
                sizes = [self._whole.shape(item)[1] for item in reader.input]
                places = [sum(sizes[:place]) for place, item in enumerate(reader.input) if item == name]
                found += [item for place in places for item in self._convolutions(reader.output[0], offset + place)]
            elif reader.op_type == "DequantizeLinear":
                found += [(item, offset) for item in self._whole.readers(reader.output[0])]
            else:
                found.append((reader, offset))
        return found

    def _producer(self, name: str) -> NodeProto:
        found = self._whole.producer(name)
        assert found is not None, name
        return found

    def _conv(self, node: NodeProto, streams: list[str]) -> None:
        source, attributes, hop = node.input[0], self._whole.attributes(node), self._hop
        time, raw = self._times[source], self._producer(source).input[0]
        (stride,), (dilation,) = attributes.get("strides", [1]), attributes.get("dilations", [1])
        before, after = attributes.pop("pads", [0, 0])
        kernel = self._whole.shape(node.input[1])[2]
        reach = (kernel - 1) * dilation if stride == 1 else kernel // stride - 1
        if time.unit != stride or kernel % stride or before + after not in (0, reach):
            refuse(node, f"a kernel of {kernel}, a stride of {stride} and {before} + {after} frames of padding do not go by whole hops")
        if before:
            self._begin_with_zeros(raw)
        self._depth[node.output[0]] += reach
        window = self._windows[raw]
        first = window.end - hop - reach
        if dilation > 1 and hop <= dilation and window.count == hop:
            delays = [tap * dilation for tap in range(kernel - 1, 0, -1)]
            codes = self._states.taps(raw, window, time, delays, self._initial(raw))
            data, attributes["dilations"] = self._dequantized(self._producer(source), codes), [hop]
        else:
            data = self._read(source, first, hop + reach)
        operands = [self._read(name, 0, 0) for name in node.input[1:]]
        self._write(node, [data, *operands], Window(node.output[0], first + before, hop), Time(time.axis), **attributes)


_HANDLERS: dict[str, Callable[[_Rewriting, NodeProto, list[str]], None]] = {
    "Conv": _Rewriting._conv,
    "Concat": _Rewriting._concat,
    "Slice": _Rewriting._slice,
    "ReduceSumSquare": _Rewriting._reduce,
    "ReduceSum": _Rewriting._reduce,
    "ReduceMean": _Rewriting._reduce,
    "Reshape": _Rewriting._reshape,
    "Transpose": _Rewriting._transpose,
    "Pad": _Rewriting._pad,
}
