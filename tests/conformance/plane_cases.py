"""Cases of what planes and the norms of their sequences add, as in ``cases.py``."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from tests.conformance.case import Case, scale, zero
from tests.conformance.qdq_graph import QdqGraph


def _plane(case: Case, shape: tuple[int, int, int], s_x: float, z_x: int) -> str:
    """A tensor of the body, which a graph input that is only reshaped would not be, as a plane [1, C, H, W]."""
    g, (channels, height, width) = case.graph, shape
    body = g.q(g.dq(case.x("x", (1, channels, height * width)), s_x, z_x), s_x, z_x)
    return g.op("Reshape", body, g.const([1, *shape], np.int64))


def _plane_conv(rng: Generator, kind: str) -> Case:
    case = Case(QdqGraph(), rng)
    g = case.graph
    inputs, outputs = (int(value) for value in rng.integers(1, 12, 2))
    height, width = (int(value) for value in rng.integers(8, 20, 2))
    kernel, strides, dilations, pads = {
        "3x3": ((3, 3), (1, 1), (1, 1), [1, 1, 1, 1]),
        "strided": ((8, 1), (4, 1), (1, 1), [2, 0, 2, 0]),
        "dilated": ((1, 3), (1, 1), (1, 2), [0, 2, 0, 2]),
        "one side": ((2, 2), (1, 2), (1, 1), [1, 0, 0, 3]),
    }[kind]
    s_x, s_w = scale(rng), np.array([scale(rng, 0.001, 0.02) for _ in range(outputs)], np.float32)
    z_x = zero(rng)
    x = _plane(case, (inputs, height, width), s_x, z_x)
    codes = rng.integers(-127, 128, (outputs, inputs, *kernel)).astype(np.int8)
    bias = g.weight(rng.integers(-3000, 3000, outputs).astype(np.int32), (np.float32(s_x) * s_w).astype(np.float32))
    operands = [g.dq(x, s_x, z_x), g.weight(codes, s_w), bias]
    y = g.op("Conv", *operands, strides=list(strides), dilations=list(dilations), pads=pads)
    sizes = [
        (size + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1
        for axis, size in enumerate((height, width))
    ]
    plane = g.q(y, s_x * float(s_w.mean()) * 60 * np.sqrt(inputs * np.prod(kernel)), zero(rng))
    g.op("Reshape", plane, g.const([1, outputs, sizes[0] * sizes[1]], np.int64), out="y")
    case.out("y", (1, outputs, sizes[0] * sizes[1]))
    return case


def plane_transpose_conv(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g = case.graph
    inputs, outputs, height, width, stride = (int(value) for value in rng.integers(1, 9, 5))
    taps = stride * int(rng.integers(1, 4))
    s_x, s_w = scale(rng), np.array([scale(rng, 0.001, 0.02) for _ in range(outputs)], np.float32)
    z_x = zero(rng)
    x = _plane(case, (inputs, height, width), s_x, z_x)
    codes = rng.integers(-127, 128, (inputs, outputs, taps, 1)).astype(np.int8)
    bias = g.weight(rng.integers(-3000, 3000, outputs).astype(np.int32), (np.float32(s_x) * s_w).astype(np.float32))
    y = g.op("ConvTranspose", g.dq(x, s_x, z_x), g.weight(codes, s_w, 1), bias, strides=[stride, 1])
    rows = (height - 1) * stride + taps
    plane = g.q(y, s_x * float(s_w.mean()) * 60 * np.sqrt(inputs * 2), zero(rng))
    g.op("Reshape", plane, g.const([1, outputs, rows * width], np.int64), out="y")
    case.out("y", (1, outputs, rows * width))
    return case


def _sequences(case: Case, rng: Generator) -> tuple[str, tuple[int, int, int]]:
    shape = (int(rng.integers(1, 9)), int(rng.integers(2, 40)), int(rng.integers(1, 20)))
    return case.x("x", (1, *shape)), shape


def _frames(case: Case, name: str, count: int, channels: int) -> None:
    """[1, N, 1, C] as the output [1, C, N]."""
    rows = case.graph.op("Reshape", name, case.graph.const([1, count, channels], np.int64))
    case.graph.op("Transpose", rows, perm=[0, 2, 1], out="y")
    case.out("y", (1, channels, count))


def sequence_energy(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, s_x = case.graph, scale(rng)
    x, (count, length, channels) = _sequences(case, rng)
    y = g.op("ReduceSumSquare", g.dq(x, s_x, zero(rng)), g.const([2, 3], np.int64), keepdims=1)
    _frames(case, g.q(y, s_x * s_x * length * channels * float(rng.uniform(60, 300)), -128), count, 1)
    return case


def sequence_mean(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, s_x, z_x = case.graph, scale(rng), zero(rng)
    x, (count, _, channels) = _sequences(case, rng)
    _frames(case, g.q(g.op("ReduceMean", g.dq(x, s_x, z_x), g.const([2], np.int64), keepdims=1), s_x, z_x), count, channels)
    return case


def _with_a_value_a_sequence(rng: Generator, op: str) -> Case:
    case = Case(QdqGraph(), rng)
    g, s_a, s_b = case.graph, scale(rng), scale(rng)
    x, (count, length, channels) = _sequences(case, rng)
    operands = g.dq(x, s_a, zero(rng)), g.dq(case.x("b", (1, count, 1, 1)), s_b, zero(rng))
    g.q(g.op(op, *operands), s_a * s_b * 100 if op == "Mul" else max(s_a, s_b) * 1.5, zero(rng), out="y")
    case.out("y", (1, count, length, channels))
    return case


def gelu(rng: Generator) -> Case:
    """x * sigmoid(1.702 x): the same codes on a grid 1.702 times as coarse, and a product."""
    case = Case(QdqGraph(), rng)
    g, s_x, z_x = case.graph, scale(rng, 0.01, 0.1), zero(rng)
    x = g.dq(case.x("x", (1, int(rng.integers(1, 20)), int(rng.integers(2, 40)))), s_x, z_x)
    steeper = np.float32(np.float32(1.702) * np.float32(s_x))
    raised = g.q(g.op("Mul", x, g.dq(g.const(np.full((1, 1, 1), 64), np.int8), np.float32(1.702 / 64), 0)), steeper, z_x)
    gate = g.q(g.op("Sigmoid", g.dq(raised, steeper, z_x)), 1 / 256, -128)
    g.q(g.op("Mul", x, g.dq(gate, 1 / 256, -128)), s_x * float(rng.uniform(0.5, 1)), zero(rng), out="y")
    case.out("y", case.inputs["x"].shape)
    return case


PLANE_CASES = {
    **{f"plane_conv {kind}": (lambda rng, kind=kind: _plane_conv(rng, kind)) for kind in ("3x3", "strided", "dilated", "one side")},
    "plane_transpose_conv": plane_transpose_conv,
    "sequence energy": sequence_energy,
    "sequence mean": sequence_mean,
    "sequence add": lambda rng: _with_a_value_a_sequence(rng, "Add"),
    "sequence mul": lambda rng: _with_a_value_a_sequence(rng, "Mul"),
    "gelu": gelu,
}
