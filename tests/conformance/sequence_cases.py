"""Cases of the ops that attention and chunks add, as in ``cases.py``."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from tests.conformance.case import Case, scale, size, zero
from tests.conformance.qdq_graph import QdqGraph


def softmax(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    shape = (1, int(rng.integers(1, 6)), int(rng.integers(2, 9)), int(rng.integers(1, 120)))
    case.graph.q(case.graph.op("Softmax", case.graph.dq(case.x("x", shape), scale(rng), zero(rng)), axis=-1), 1 / 256, -128, out="y")
    case.out("y", shape)
    return case


def tanh(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    shape = size(rng)
    case.graph.q(case.graph.op("Tanh", case.graph.dq(case.x("x", shape), scale(rng), zero(rng))), 1 / 128, 0, out="y")
    case.out("y", shape)
    return case


def _matmul(rng: Generator, turned: bool) -> Case:
    case = Case(QdqGraph(), rng)
    g = case.graph
    sequences, rows, depth, columns = 1 + int(rng.integers(5)), *(int(value) for value in rng.integers(2, 40, 3))
    s_a, s_b = scale(rng), scale(rng)
    a = g.dq(case.x("a", (1, sequences, rows, depth)), s_a, zero(rng))
    b = g.dq(case.x("b", (1, sequences, columns, depth) if turned else (1, sequences, depth, columns)), s_b, zero(rng))
    y = g.op("MatMul", a, g.op("Transpose", b, perm=[0, 1, 3, 2]) if turned else b)
    g.q(y, s_a * s_b * 80 * float(np.sqrt(depth)), zero(rng), out="y")
    case.out("y", (1, sequences, rows, columns))
    return case


def pad(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, (_, channels, time) = case.graph, size(rng)
    before, after, code = int(rng.integers(0, 9)), int(rng.integers(0, 9)), zero(rng)
    g.op("Pad", case.x("x", (1, channels, time)), g.const([0, 0, before, 0, 0, after], np.int64), g.const(code, np.int8), out="y")
    g.q(g.dq("y", 1 / 64, code), 1 / 32, 0, out="z")
    case.out("y", (1, channels, before + time + after))
    return case


def transpose(rng: Generator) -> Case:
    """Frames as sequences, their axes turned, and back: [1, C, N L] to [1, C, L N]."""
    case = Case(QdqGraph(), rng)
    g, (_, channels, length), sequences = case.graph, size(rng), int(rng.integers(1, 9))
    rows = g.op("Transpose", case.x("x", (1, channels, sequences * length)), perm=[0, 2, 1])
    turned = g.op("Transpose", g.op("Reshape", rows, g.const([1, sequences, length, channels], np.int64)), perm=[0, 2, 1, 3])
    rows = g.op("Reshape", turned, g.const([1, sequences * length, channels], np.int64))
    g.op("Transpose", rows, perm=[0, 2, 1], out="y")
    g.q(g.dq("y", 1 / 64, 3), 1 / 32, 0, out="z")
    case.out("y", (1, channels, sequences * length))
    return case


SEQUENCE_CASES = {
    "softmax": softmax,
    "tanh": tanh,
    "matmul": lambda rng: _matmul(rng, False),
    "matmul transposed": lambda rng: _matmul(rng, True),
    "pad": pad,
    "transpose": transpose,
}
