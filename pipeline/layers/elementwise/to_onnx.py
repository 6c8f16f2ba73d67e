"""PReLU, sums, products, slices of channels and the stack of the sources."""

from __future__ import annotations

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.elementwise import quantized as layers


def emit_prelu(graph: GraphBuilder, layer: layers.Prelu, inputs: list[Value], name: str) -> Value:
    """LeakyRelu on one grid; its input is written on it here."""
    (x,) = inputs
    edge = x.name if x.scale is None else graph.read(x)  # codes where a rearrangement stands before it
    before = graph.write(edge, f"{name}.in", x.channels, x.frames, layer.output_quantizer)
    edge = graph.node("LeakyRelu", [graph.read(before)], f"{name}/leaky_relu", alpha=float(layer.slope().item()))
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_add(graph: GraphBuilder, layer: layers.Add, inputs: list[Value], name: str) -> Value:
    """Add."""
    x, y = inputs
    edge = graph.node("Add", [graph.read(x), graph.read(y)], f"{name}/add")
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_multiply(graph: GraphBuilder, layer: layers.Multiply, inputs: list[Value], name: str) -> Value:
    """Mul."""
    x, y = inputs
    edge = graph.node("Mul", [graph.read(x), graph.read(y)], f"{name}/mul")
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def emit_select_source(graph: GraphBuilder, layer: layers.SelectSource, inputs: list[Value], name: str) -> Value:
    """Slice of the int8 codes."""
    (x,) = inputs
    graph.slice(x.name, [layer.start], [layer.stop], [1], name)
    return Value(name, layer.stop - layer.start, x.frames, x.scale, x.zero_point)


def emit_stack_sources(graph: GraphBuilder, _: layers.StackSources, inputs: list[Value], name: str) -> Value:
    """Concat of the int16 waveforms [1, A, T] of S sources; [1, S, T] of mono ones, else [1, S, A, T]."""
    names, first = [value.name for value in inputs], inputs[0]
    if first.channels == 1:
        graph.node("Concat", names, name, axis=1)
    else:
        joined = graph.node("Concat", names, f"{name}/channels", axis=1)
        graph.reshape(joined, [1, len(inputs), first.channels, first.frames], name)
    return Value(name, len(inputs) * first.channels, first.frames)


def slice_channels(graph: GraphBuilder, codes: str, axis: int, channels: int) -> list[str]:
    """The slices of size 1 of an integer tensor along an axis."""
    return [graph.slice(codes, [channel], [channel + 1], [axis], f"{codes}/channel_{channel}") for channel in range(channels)]
