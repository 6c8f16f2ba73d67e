"""MACs, BOPs and bytes, counted in the file itself by the convention of the FQSS paper's published numbers.

* Convolution: outputs × C_in/groups × kernel. Transposed convolution: C_in × C_out × output length × floor(kernel/stride).
* Product: 1 per element. Sums, activations and means: 0.
* Norm: 2 per element. An integer norm comes to the same: 1 for the sum of squares (BATCH_MATMUL) and 1 for the scaling (a depthwise
  convolution of kernel 1, or a product). An integer cLN has 8: two means, four sums of squares, two products.
* BOPs = MACs × weight bits × activation bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from validation.record import Number, Record
from validation.tflite_graph import Operator, Subgraph, Tensor, TfliteGraph

_BITS = {"int8": 8, "uint8": 8, "int16": 16, "int32": 32, "float16": 16, "float32": 32}
_NORMS = ("InstanceNormalization", "GroupNormalization", "LayerNormalization", "BatchNormalization")


class Cost(Record):
    """Work of one segment and of one second of audio. ``macs_by_op`` are of the segment; ``constants`` counts values in the file's
    constants."""

    macs: int
    bops: int
    macs_per_second: Number
    bops_per_second: Number
    macs_by_op: dict[str, int]
    constants: int
    bytes: int


def count_tflite(path: Path, sample_rate: int, samples: int | None = None) -> Cost:
    """Count a TFLite file of segments of ``samples`` at ``sample_rate``, by default the longest axis of its input. int32 products
    (splitter, scalars of the norms) are address arithmetic and count 0."""
    graph = TfliteGraph.read(path)
    macs: Counter[str] = Counter()
    bops = 0
    for part, operator, times in _runs(graph, graph, 1):
        inputs = [part.tensors[index] for index in operator.inputs if index >= 0]
        count, weight, activation = _tflite_macs(operator, inputs, part.tensors[operator.outputs[0]])
        if count:
            macs[operator.name] += count * times
            bops += count * times * _BITS[weight.dtype] * _BITS[activation.dtype]
    constants = sum(tensor.size for part in graph.subgraphs for tensor in part.tensors if tensor.constant_bytes)
    return _cost(macs, bops, samples or max(graph.inputs[0].shape), sample_rate, constants, len(graph.content))


def _runs(graph: TfliteGraph, part: Subgraph, times: int) -> Iterator[tuple[Subgraph, Operator, int]]:
    """Every operator with the subgraph it stands in and how often it runs."""
    for operator in part.operators:
        yield part, operator, times
        if operator.name == "WHILE":
            body, steps = graph.loop(operator)
            yield from _runs(graph, body, times * steps)


def _tflite_macs(operator: Operator, inputs: list[Tensor], output: Tensor) -> tuple[int, Tensor, Tensor]:
    """MACs, the operand that counts as weight, the one that counts as activation."""
    match operator.name:
        case "CONV_2D":
            return output.size * int(np.prod(inputs[1].shape[1:])), inputs[1], inputs[0]
        case "DEPTHWISE_CONV_2D":
            return output.size * int(np.prod(inputs[1].shape[1:3])), inputs[1], inputs[0]
        case "TRANSPOSE_CONV":
            out, height, width, channels = inputs[1].shape
            taps = (height // operator.options.strideH) * (width // operator.options.strideW)
            return channels * out * int(np.prod(output.shape[1:3])) * taps, inputs[1], inputs[2]
        case "FULLY_CONNECTED":
            return output.size * inputs[1].shape[-1], inputs[1], inputs[0]
        case "BATCH_MATMUL":
            return output.size * inputs[0].shape[-2 if operator.options.adjX else -1], inputs[1], inputs[0]
        case "MUL" if output.dtype != "int32":
            return output.size, inputs[1], inputs[0]
    return 0, inputs[0], output


def count_onnx_float(path: Path, sample_rate: int, samples: int | None = None) -> Cost:
    """Count a float ONNX network (32 × 32 bits), as :func:`count_tflite`; shapes by ONNX's own inference."""
    content = path.read_bytes()
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
    macs: Counter[str] = Counter()
    for node in graph.node:
        count = _onnx_macs(node, shapes)
        if count:
            macs[node.op_type] += count
    constants = sum(int(np.prod(tensor.dims, dtype=np.int64)) for tensor in graph.initializer)
    total = sum(macs.values())
    return _cost(macs, total * 32 * 32, samples or max(shapes[graph.input[0].name]), sample_rate, constants, len(content))


def _onnx_macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    output = int(np.prod(shapes[node.output[0]], dtype=np.int64)) if node.output[0] in shapes else 0
    match node.op_type:
        case "Conv":
            return output * int(np.prod(shapes[node.input[1]][1:]))
        case "ConvTranspose":
            strides = next((list(a.ints) for a in node.attribute if a.name == "strides"), [1] * (len(shapes[node.input[1]]) - 2))
            kernel = shapes[node.input[1]][2:]
            return output * shapes[node.input[1]][0] * int(np.prod([k // s for k, s in zip(kernel, strides, strict=True)]))
        case "MatMul" | "Gemm":
            return output * shapes[node.input[0]][-1]
        case "LSTM":  # outputs of both directions × four gates × what each multiplies
            return output * 4 * (shapes[node.input[1]][2] + shapes[node.input[2]][2])
        case "Mul":
            return output
        case name if name in _NORMS:
            return 2 * output
    return 0


def _cost(macs: Counter[str], bops: int, samples: int, sample_rate: int, constants: int, size: int) -> Cost:
    total = sum(macs.values())
    scale = sample_rate / samples
    return Cost(
        macs=total,
        bops=bops,
        macs_per_second=total * scale,
        bops_per_second=bops * scale,
        macs_by_op=dict(macs.most_common()),
        constants=constants,
        bytes=size,
    )
