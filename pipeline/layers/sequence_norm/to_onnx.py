"""The integer gLN of each sequence as plain ONNX nodes; sequences are [1, N, L, C], and what belongs to one of them [1, N, 1, 1]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.channel_norm.quantized import energy_coarseness
from pipeline.layers.channel_norm.to_onnx import energy_index, minus_mean
from pipeline.layers.sequence_norm.float import SequencesNorm
from pipeline.layers.sequence_norm.quantized import QuantizedSequencesNorm
from pipeline.quantization.grid import QMIN

OF_SEQUENCES = "of_sequences"  # last part of the names of tensors [1, N, 1, C]; as frames they have the names without it


def emit_sequences_norm(graph: GraphBuilder, layer: QuantizedSequencesNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`QuantizedSequencesNorm`."""
    (x,) = inputs
    assert x.sequences is not None
    c = layer.constants(x.frames // x.sequences * x.channels)
    zero_point = int(c.zero_point.item())
    whole = replace(x, name=graph.as_sequences(x))
    deviation = _centred(graph, whole, f"{name}/deviation", zero_point)
    gain = _gain(graph, deviation, c.energy_scales, ("norm/amplifications", layer.amplifications), f"{name}/energy")
    edge = graph.node("Mul", [graph.read(deviation), graph.dequantize(gain, np.float32(1))], f"{name}/amplify")
    amplified = _write(graph, edge, f"{name}/amplified", x, x.grid(), zero_point)
    centred = _centred(graph, amplified, f"{name}/centred", zero_point)
    gain = _gain(graph, centred, c.amplified_scales, ("norm/gains", layer.gains + QMIN), f"{name}/amplified_energy")
    gain = graph.dequantize(gain, np.float32(c.gain_scale.item()), QMIN)
    edge = graph.node("Mul", [graph.read(centred), gain], f"{name}/normalise")
    total = graph.write(edge, f"{name}/normalised", x.channels, x.frames, layer.output_quantizer)
    return graph.as_frames(total.name, replace(total, name=name, sequences=x.sequences))


def _centred(graph: GraphBuilder, x: Value, name: str, zero_point: int) -> Value:
    """x less the mean of its sequence in whole codes of x, by the channels' means over time."""
    assert x.sequences is not None
    time = graph.const("axes/places", [2], np.int64)
    edge = graph.node("ReduceMean", [graph.read(x), time], f"{name}/channel_means_float", keepdims=1)
    means = graph.quantize(edge, f"{name}/channel_means/{OF_SEQUENCES}", x.grid(), x.zero_point)
    frames = graph.as_frames(means, replace(x, name=f"{name}/channel_means", frames=x.sequences, sequences=1))
    mean = minus_mean(graph, frames, name)
    shape = [1, x.sequences, 1, 1]
    spread = graph.reshape(graph.node("Transpose", [mean.name], f"{mean.name}/rows", perm=[0, 2, 1]), shape, f"{mean.name}/{OF_SEQUENCES}")
    edge = graph.node("Add", [graph.read(x), graph.dequantize(spread, mean.grid(), mean.zero_point)], f"{name}_float")
    return _write(graph, edge, name, x, x.grid(), zero_point)


def _gain(graph: GraphBuilder, x: Value, scales: tuple[Tensor, Tensor], table: tuple[str, Tensor], name: str) -> str:
    """int8 [1, N, 1, 1]: what a table holds for the sum of the coarse and the fine code of each sequence's energy."""
    assert x.sequences is not None
    coarseness = energy_coarseness(x.frames // x.sequences * x.channels)
    if coarseness > 1:
        scale, zero_point = np.float32(x.grid() * np.float32(coarseness)), round(x.zero_point / coarseness)
        x = _write(graph, graph.read(x), f"{name}_operand", x, scale, zero_point)
    axes = graph.const("axes/places_and_channels", [2, 3], np.int64)
    index = energy_index(graph, x, axes, scales, name, f"/{OF_SEQUENCES}")
    return graph.node("Gather", [graph.const(table[0], table[1].numpy(), np.int8), index], f"{name}_gain/{OF_SEQUENCES}")


def _write(graph: GraphBuilder, edge: str, name: str, like: Value, scale: np.float32, zero_point: int) -> Value:
    return replace(graph.write_on(edge, name, like.channels, like.frames, scale, zero_point), sequences=like.sequences)


def emit_float_sequences_norm(graph: FloatGraph, layer: SequencesNorm, inputs: list[str], name: str) -> str:
    """As of gLN, over a plane; gamma and beta are 1 and 0."""
    bins, frames = graph.sizes(inputs[0])
    channels = len(layer.gamma)
    plane = graph.reshape(inputs[0], [1, channels, bins, frames], f"{name}.plane")
    mean = graph.add("ReduceMean", [plane], f"{name}.mean", axes=[1, 3], keepdims=1)
    centred = graph.add("Sub", [plane, mean], f"{name}.centred")
    variance = graph.add(
        "ReduceMean", [graph.add("Mul", [centred, centred], f"{name}.squares")], f"{name}.variance", axes=[1, 3], keepdims=1
    )
    eps = graph.constant(f"{name}.eps", np.full((1, 1, 1, 1), layer.eps, np.float32))
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, eps], f"{name}.stable")], f"{name}.deviation")
    return graph.reshape(graph.add("Div", [centred, deviation], f"{name}.normed"), [1, channels, bins * frames], name)
