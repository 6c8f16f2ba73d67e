"""One function an op: a random small graph of that op alone, drawn from a seeded generator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from tests.conformance.case import LIMITS, Case, mantissa12, scale, size, zero
from tests.conformance.convolution_cases import CONVOLUTION_CASES
from tests.conformance.plane_cases import PLANE_CASES
from tests.conformance.qdq_graph import QdqGraph
from tests.conformance.sequence_cases import SEQUENCE_CASES


def _elementwise(rng: Generator, op: str, dtype: str) -> Case:
    case = Case(QdqGraph(), rng)
    g = case.graph
    shape = size(rng)
    form = str(rng.choice(["full", "channel", "time", "scalar", "constant"]))
    other = {"full": shape, "channel": (1, shape[1], 1), "time": (1, 1, shape[2]), "scalar": (1,), "constant": (1, shape[1], 1)}[form]
    small = 1 if dtype == "int8" else 256
    s_a, s_b = scale(rng) / small, scale(rng) / small
    if (op, dtype) == ("Mul", "int16"):  # LiteRT and TFLM agree on mantissas of 12 bits (see pipeline/convert/ops/mul.py)
        s_a, s_b = mantissa12(s_a), mantissa12(s_b)
    zeros = [zero(rng) if dtype == "int8" else 0 for _ in range(3)]
    a = g.dq(case.x("a", shape, dtype), s_a, zeros[0], dtype)
    if form == "constant":
        raw = g.const(rng.integers(*LIMITS[dtype], other), dtype)
    else:
        raw = case.x("b", other, dtype)
    b = g.dq(raw, s_b, zeros[1], dtype)
    product = s_a * s_b * (100 if dtype == "int8" else 2.0**14)
    s_y = product if op == "Mul" else max(s_a, s_b) * float(rng.uniform(0.7, 2))
    g.q(g.op(op, a, b), s_y, zeros[2], dtype, out="y")
    case.out("y", shape, dtype)
    return case


def leaky_relu(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    shape = size(rng)
    s_x = scale(rng)
    x = case.graph.dq(case.x("x", shape), s_x, zero(rng))
    case.graph.q(case.graph.op("LeakyRelu", x, alpha=float(rng.uniform(0.01, 0.9))), s_x * float(rng.uniform(0.5, 1.2)), zero(rng), out="y")
    case.out("y", shape)
    return case


def prelu(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x = scale(rng)
    x = g.dq(case.x("x", shape), s_x, zero(rng))
    slope_shape = (1, 1) if rng.integers(2) else (shape[1], 1)
    slope = g.dq(g.const(rng.integers(-127, 128, slope_shape), np.int8), scale(rng, 0.001, 0.01), 0)
    g.q(g.op("PRelu", x, slope), s_x * float(rng.uniform(0.5, 1.2)), zero(rng), out="y")
    case.out("y", shape)
    return case


def average_pool(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x, z_x = scale(rng), zero(rng)
    y = g.op("ReduceMean", g.dq(case.x("x", shape), s_x, z_x), g.const([2], np.int64), keepdims=1)
    g.q(y, s_x, z_x, out="y")
    case.out("y", (1, shape[1], 1))
    return case


def _mean(rng: Generator, dtype: str) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x, z_x = scale(rng), zero(rng) if dtype == "int8" else 0
    axes, keep = [([1], 1), ([2], 1), ([1, 2], 1), ([1, 2], 0)][int(rng.integers(4))]
    y = g.op("ReduceMean", g.dq(case.x("x", shape, dtype), s_x, z_x, dtype), g.const(axes, np.int64), keepdims=keep)
    same = dtype == "int16"
    g.q(y, s_x if same else s_x * float(rng.uniform(0.8, 2)), 0 if same else zero(rng), dtype, out="y")
    case.out("y", tuple(1 if axis in axes else n for axis, n in enumerate(shape)) if keep else (1,), dtype)
    return case


def batch_matmul(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x, z_x = scale(rng), zero(rng)
    y = g.op("ReduceSumSquare", g.dq(case.x("x", shape), s_x, z_x), g.const([1], np.int64), keepdims=1)
    g.q(y, s_x * s_x * shape[1] * float(rng.uniform(60, 300)), -128, out="y")
    case.out("y", (1, 1, shape[2]))
    return case


def rsqrt(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x = scale(rng)
    lowest = int(rng.integers(-127, 0))
    x = g.dq(case.x("x", shape, "int8", lowest), s_x, -128)
    g.q(g.op("Reciprocal", g.op("Sqrt", x)), 1 / np.sqrt((lowest + 128) * s_x) / 127, 0, out="y")
    case.out("y", shape)
    return case


def logistic(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    shape = size(rng)
    case.graph.q(case.graph.op("Sigmoid", case.graph.dq(case.x("x", shape), scale(rng), zero(rng))), 1 / 256, -128, out="y")
    case.out("y", shape)
    return case


def _requantize(rng: Generator, source: str, target: str) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x = scale(rng)
    name = case.x("x", shape, source, -(2**20) if source == "int32" else None, 2**20 if source == "int32" else None)
    factor = {"int8": 1.0, "int16": 256.0, "int32": 2.0**13}
    s_y = s_x * factor[source] / factor[target] * float(rng.uniform(0.5, 2))
    if source == "int32":
        name = g.op("Max", name, g.const([int(rng.integers(-1000, 1000))], np.int32))
    value = g.dq(name, s_x, zero(rng) if source == "int8" else 0, source)
    g.q(value, s_y, zero(rng) if target == "int8" else 0, target, out="y")
    case.out("y", shape, target)
    return case


def cast(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    shape = size(rng)
    source, target = rng.choice(["int8", "int16", "int32"], 2, replace=False)
    case.graph.op("Cast", case.x("x", shape, str(source)), to={"int8": 3, "int16": 5, "int32": 6}[str(target)], out="y")
    case.out("y", shape, str(target))
    return case


def _integer(rng: Generator, op: str) -> Case:
    case = Case(QdqGraph(), rng)
    shape = size(rng)
    limit = 40000 if op == "Mul" else 2**30
    x = case.x("x", shape, "int32", -limit, limit)
    form = int(rng.integers(4))
    low = 1 if op == "Div" else -limit
    if form == 0:
        other = case.x("b", shape, "int32", low, limit)
    else:
        other_shape: Any = [(), (1,), (1, shape[1], 1)][form - 1]
        other = case.graph.const(rng.integers(low, 1000, other_shape), np.int32)
    case.graph.op(op, x, other, out="y")
    case.out("y", shape, "int32")
    return case


def maximum(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape = case.graph, size(rng)
    s_x, z_x = scale(rng), zero(rng)
    x = g.dq(case.x("x", shape), s_x, z_x)
    g.q(g.op("Max", x, g.dq(g.const([int(rng.integers(-128, 128))], np.int8), s_x, z_x)), s_x, z_x, out="y")
    case.out("y", shape)
    return case


def _concat(rng: Generator, dtype: str) -> Case:
    case = Case(QdqGraph(), rng)
    g, (_, channels, time) = case.graph, size(rng)
    parts = [case.x(f"x{index}", (1, channels + index, time), dtype) for index in range(int(rng.integers(2, 4)))]
    joined = g.op("Concat", *parts, axis=1, out="y")
    g.q(g.dq(joined, 1 / 128, 0, dtype), 1 / 64, 0, dtype, out="z")
    total = sum(channels + index for index in range(len(parts)))
    case.out("y", (1, total, time), dtype)
    return case


def slice_(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, (_, channels, time) = case.graph, size(rng)
    channels += 2
    axis = int(rng.integers(1, 3))
    length = (channels, time)[axis - 1]
    start, step = int(rng.integers(0, length - 1)), int(rng.integers(1, 4)) if axis == 2 else 1
    end = int(rng.integers(start + 1, length + 1))
    y = g.op("Slice", case.x("x", (1, channels, time)), *(g.const([value], np.int64) for value in (start, end, axis, step)), out="y")
    g.q(g.dq(y, 1 / 64, 3), 1 / 32, 0, out="z")
    taken = len(range(start, end, step))
    case.out("y", (1, taken, time) if axis == 1 else (1, channels, taken))
    return case


def gather(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, shape, entries = case.graph, size(rng), int(rng.integers(1, 600))
    index = case.x("index", shape, "int32", 0, entries - 1)
    g.op("Gather", g.const(rng.integers(-128, 128, entries), np.int8), index, out="y")
    g.q(g.dq("y", scale(rng), zero(rng)), 1 / 64, 0, out="z")
    case.out("y", shape)
    return case


def reshape(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g, time = case.graph, int(rng.integers(2, 60))
    body = g.op("Reshape", case.x("x", (1, time), "int16"), g.const([1, 1, time], np.int64))
    wide = g.op("Add", g.op("Cast", body, to=6), g.const(1, np.int32))
    left = [g.op("Reshape", g.op("Cast", wide, to=5), g.const([1, 1, time], np.int64)) for _ in range(2)]
    g.op("Concat", *left, axis=1, out="y")
    case.out("y", (1, 2, time), "int16")
    return case


CASES = {
    **CONVOLUTION_CASES,
    **{
        f"{op.lower()} {dtype}": (lambda rng, op=op, dtype=dtype: _elementwise(rng, op, dtype))
        for op in ("Add", "Sub", "Mul")
        for dtype in ("int8", "int16")
    },
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "average_pool": average_pool,
    "mean int8": lambda rng: _mean(rng, "int8"),
    "mean int16": lambda rng: _mean(rng, "int16"),
    "batch_matmul": batch_matmul,
    "rsqrt": rsqrt,
    "logistic": logistic,
    **{
        f"requantize {a}-{b}": (lambda rng, a=a, b=b: _requantize(rng, a, b))
        for a, b in (("int8", "int8"), ("int8", "int16"), ("int16", "int8"), ("int16", "int16"), ("int32", "int8"), ("int32", "int16"))
    },
    "cast": cast,
    **{f"integer {op.lower()}": (lambda rng, op=op: _integer(rng, op)) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")},
    "maximum": maximum,
    "concat int8": lambda rng: _concat(rng, "int8"),
    "concat int16": lambda rng: _concat(rng, "int16"),
    "slice": slice_,
    "gather": gather,
    "reshape": reshape,
    **SEQUENCE_CASES,
    **PLANE_CASES,
}
