"""The integer bidirectional LSTM as one Scan, whose body does a step of both directions.

Chunks are channels-last here, [1, S, K, C], as in the TFLite file; the Scan runs along S or K, and the other axis holds N sequences.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from onnx import GraphProto, helper

from pipeline.export.qdq_graph import INT8, INT16, GraphBuilder, Value, tensor_info
from pipeline.layers.lstm.quantized import GATE_STEP, SUM_STEP, QuantizedBiLstm

DIRECTIONS = ("forward", "backward")
WITHIN, ACROSS = 2, 1  # the axis of [1, S, K, C] along which the LSTM runs


def emit_bi_lstm(graph: GraphBuilder, layer: QuantizedBiLstm, inputs: list[Value], name: str) -> Value:
    """The Scan along each of the sequences that the frames are."""
    (x,) = inputs
    assert x.sequences is not None
    chunks = x.sequences, x.frames // x.sequences
    joined = emit_scan(graph, layer, replace(x, name=graph.as_sequences(x)), chunks, WITHIN, name)
    return graph.as_frames(joined.name, replace(joined, name=name))


def emit_scan(graph: GraphBuilder, layer: QuantizedBiLstm, x: Value, chunks: tuple[int, int], axis: int, name: str) -> Value:
    """Scan and Concat: int8 chunks [1, S, K, C] to [1, S, K, 2 H].

    Args:
        chunks: (S, K).
        axis: ``WITHIN`` or ``ACROSS``.
    """
    sequences = chunks[0] if axis == WITHIN else chunks[1]
    zeros = graph.const(f"lstm/zero_{sequences}_{layer.hid_chan}", np.zeros((1, sequences, layer.hid_chan)), np.int16)
    hidden = [f"{name}/{direction}" for direction in DIRECTIONS]
    states = [f"{name}/{direction}/last_{state}" for direction in DIRECTIONS for state in ("hidden", "cell")]
    graph.nodes.append(
        helper.make_node(
            "Scan",
            [zeros] * len(states) + [x.name] * len(DIRECTIONS),
            states + hidden,
            name=f"{name}/scan",
            body=_body(layer, x, sequences, name),
            num_scan_inputs=len(DIRECTIONS),
            scan_input_axes=[axis] * len(DIRECTIONS),
            scan_input_directions=[0, 1],
            scan_output_axes=[axis] * len(DIRECTIONS),
            scan_output_directions=[0, 1],
        )
    )
    graph.node("Concat", hidden, f"{name}/joined", axis=3)
    scale, zero_point = (value.item() for value in layer.output_quantizer.grid())
    return Value(f"{name}/joined", 2 * layer.hid_chan, x.frames, np.float32(scale), int(zero_point))


def _body(layer: QuantizedBiLstm, x: Value, sequences: int, name: str) -> GraphProto:
    """The graph of one step: states of both directions and x [1, N, C] of each, to new states and int8 outputs [1, N, H]."""
    body = GraphBuilder()
    scale, zero_point = layer.output_quantizer.grid()
    sources: list[str] = []
    states: list[str] = []
    new_states: list[str] = []
    outputs: list[str] = []
    for index, direction in enumerate(DIRECTIONS):
        prefix = f"{name}/{direction}"
        source, before = f"{prefix}/x", (f"{prefix}/hidden_before", f"{prefix}/cell_before")
        hidden, cell = _step(body, layer, index, Value(source, x.channels, sequences, x.grid(), x.zero_point), before, prefix)
        edge = body.dequantize(hidden, GATE_STEP, dtype=np.int16)
        sources.append(source)
        states += before
        new_states += [hidden, cell]
        outputs.append(body.quantize(edge, f"{prefix}/y", np.float32(scale.item()), int(zero_point.item())))
    state = partial(tensor_info, kind=INT16, shape=[1, sequences, layer.hid_chan])
    return helper.make_graph(
        body.nodes,
        f"{name}/step",
        [state(value) for value in states] + [tensor_info(value, INT8, [1, sequences, x.channels]) for value in sources],
        [state(value) for value in new_states] + [tensor_info(value, INT8, [1, sequences, layer.hid_chan]) for value in outputs],
        list(body.initializers.values()),
    )


def _step(body: GraphBuilder, layer: QuantizedBiLstm, index: int, x: Value, before: tuple[str, str], prefix: str) -> tuple[str, str]:
    """A step of one direction: the names of the new hidden state and cell, int16."""
    write, read = partial(body.quantize, zero_point=0, dtype=np.int16), partial(body.dequantize, dtype=np.int16)
    rows = slice(4 * layer.hid_chan * index, 4 * layer.hid_chan * (index + 1))
    scale = layer.input_quantizer.scale().numpy()[rows]
    codes = layer.input_quantizer.codes(layer.input_weight).numpy()[rows]
    wide = read(write(body.read(x), f"{prefix}/x16", x.grid()), x.grid())
    product = body.node("MatMul", [wide, body.weight(f"{prefix}/input_weight", codes.T, scale, 1)], f"{prefix}/input_product")
    bias = body.bias(f"{prefix}/bias", layer.bias.detach().numpy()[rows], x.grid(), scale)
    inputs = write(body.node("Add", [product, bias], f"{prefix}/input_biased"), f"{prefix}/input", SUM_STEP)
    scale = layer.recurrent_quantizer.scale().numpy()[rows]
    codes = layer.recurrent_quantizer.codes(layer.recurrent_weight).numpy()[rows]
    operands = [read(before[0], GATE_STEP), body.weight(f"{prefix}/recurrent_weight", codes.T, scale, 1)]
    recurrent = write(body.node("MatMul", operands, f"{prefix}/recurrent_product"), f"{prefix}/recurrent", SUM_STEP)
    edge = body.node("Add", [read(inputs, SUM_STEP), read(recurrent, SUM_STEP)], f"{prefix}/add")
    sums = write(edge, f"{prefix}/sum", SUM_STEP)
    parts = [f"{prefix}/{gate}_sum" for gate in "ifog"]
    body.nodes.append(helper.make_node("Split", [sums], parts, name=f"{prefix}/split", axis=2, num_outputs=4))

    def activation(op: str, source: str, output: str) -> str:
        edge = body.node(op, [read(source, SUM_STEP)], f"{output}/float")
        return read(write(edge, output, GATE_STEP), GATE_STEP)

    def product_of(left: str, right: str, output: str, step: float) -> str:
        return write(body.node("Mul", [left, right], f"{output}/float"), output, step)

    i, f, o = (activation("Sigmoid", part, f"{prefix}/{gate}") for gate, part in zip("ifo", parts[:3], strict=True))
    g = activation("Tanh", parts[3], f"{prefix}/g")
    kept = product_of(f, read(before[1], SUM_STEP), f"{prefix}/kept", SUM_STEP)
    added = product_of(i, g, f"{prefix}/added", SUM_STEP)
    edge = body.node("Add", [read(kept, SUM_STEP), read(added, SUM_STEP)], f"{prefix}/cell_float")
    cell = write(edge, f"{prefix}/cell", SUM_STEP)
    return product_of(o, activation("Tanh", cell, f"{prefix}/tanh"), f"{prefix}/hidden", GATE_STEP), cell
