"""Convolutions: see :mod:`tests.conformance.cases`."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from tests.conformance.case import Case, scale, size, zero
from tests.conformance.qdq_graph import QdqGraph


def _convolution(rng: Generator, kind: str, channels: int | None = None) -> Case:
    case = Case(QdqGraph(), rng)
    g = case.graph
    _, inputs, time = size(rng)
    inputs = channels or inputs
    depthwise = kind in ("depthwise", "run-time")
    outputs = inputs if depthwise else int(rng.integers(1, 20))
    taps = 1 if kind == "run-time" else int(rng.integers(1, 4))
    dilation = int(rng.integers(1, 4)) if kind != "strided" else 1
    stride = int(rng.integers(1, 4)) if kind == "strided" else 1
    span = (taps - 1) * dilation
    pads = {"causal": [span, 0], "strided": [0, 0]}.get(kind, [span // 2, span - span // 2])
    if kind == "framed":  # an encoder: kernel m * stride over whole frames
        stride, dilation = int(rng.integers(2, 5)), 1
        taps, time = stride * taps, stride * time
        span, pads = taps - 1, [0, 0]
        time += span + 1
    time += 0 if kind == "framed" else span
    s_x, z_x = scale(rng), zero(rng)
    s_w = np.array([scale(rng, 0.001, 0.02) for _ in range(outputs)], np.float32)
    per_sample = 1 if depthwise else inputs
    x = case.x("x", (1, inputs, time))
    codes = rng.integers(-127, 128, (outputs, per_sample, taps)).astype(np.int8)
    bias_codes = rng.integers(-3000, 3000, outputs).astype(np.int32)
    s_b = (np.float32(s_x) * s_w).astype(np.float32)
    if kind == "run-time":
        amount = case.x("amount", (1,), "int32", 1, 127)
        sign = g.const(rng.choice([-1, 1], (outputs, 1, 1)), np.int32)
        codes_name = g.op("Cast", g.op("Mul", amount, sign), to=3)
        weight = g.dq(codes_name, s_w, 0)
        bias = g.dq(g.op("Sub", g.const(bias_codes), g.op("Mul", amount, g.const(rng.integers(-9, 9, outputs), np.int32))), s_b, 0, "int32")
    else:
        weight, bias = g.weight(codes, s_w), g.weight(bias_codes, s_b)
    bias_input = [bias] if kind != "no-bias" else []
    y = g.op(
        "Conv",
        g.dq(x, s_x, z_x),
        weight,
        *bias_input,
        group=inputs if depthwise else 1,
        pads=pads,
        strides=[stride],
        dilations=[dilation],
    )
    if kind == "relu":
        y = g.op("Relu", y)
    g.q(y, s_x * float(s_w.mean()) * 60 * np.sqrt(per_sample * taps), zero(rng), out="y")
    case.out("y", (1, outputs, (time + sum(pads) - span - 1) // stride + 1))
    return case


def transpose_conv(rng: Generator) -> Case:
    case = Case(QdqGraph(), rng)
    g = case.graph
    _, inputs, time = size(rng)
    outputs, stride = int(rng.integers(1, 3)), int(rng.integers(1, 5))
    taps = stride * int(rng.integers(1, 4)) + int(rng.integers(0, 2))
    s_x, z_x = scale(rng), zero(rng)
    s_w = np.array([scale(rng, 0.001, 0.02) for _ in range(outputs)], np.float32)
    codes = rng.integers(-127, 128, (inputs, outputs, taps)).astype(np.int8)
    y = g.op("ConvTranspose", g.dq(case.x("x", (1, inputs, time)), s_x, z_x), g.weight(codes, s_w, 1), strides=[stride])
    g.q(y, s_x * float(s_w.mean()) * 60 * np.sqrt(inputs * 2), zero(rng), out="y")
    case.out("y", (1, outputs, (time - 1) * stride + taps))
    return case


CONVOLUTION_CASES = {
    **{
        f"conv {kind}": (lambda rng, kind=kind: _convolution(rng, kind))
        for kind in ("same", "causal", "strided", "framed", "relu", "no-bias")
    },
    "depthwise_conv static": lambda rng: _convolution(rng, "depthwise"),
    "depthwise_conv run-time": lambda rng: _convolution(rng, "run-time"),
    "depthwise_conv run-time of one channel": lambda rng: _convolution(rng, "run-time", 1),  # one group is a group a channel
    "transpose_conv": transpose_conv,
}
