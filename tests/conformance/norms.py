"""The integer norm recipes C23 and B14 as QDQ ONNX, emitted as the exporter does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.conformance.case import mantissa12
from tests.conformance.qdq_graph import QdqGraph


@dataclass
class NormParameters:
    """Constants of a norm over [1, C, T], calibrated on ``codes`` (int8 [C, T])."""

    scale: float
    zero: int
    gamma: np.ndarray
    beta: np.ndarray
    variance_codes: float
    energy_codes: float

    @classmethod
    def calibrate(cls, rng: np.random.Generator, codes: np.ndarray, scale: float, zero: int) -> NormParameters:
        q = codes.astype(float) - zero
        channels = codes.shape[-2]
        gamma = rng.uniform(0.4, 1.4, channels) * rng.choice([-1, 1], channels)
        return cls(mantissa12(scale), zero, gamma, rng.normal(0, 0.2, channels), float(q.var()), float((q * q).mean(-2).max()))


def add_c23(g: QdqGraph, x: str, p: NormParameters, out: tuple[float, int], name: str) -> str:
    """Frame energies, int32 scalars, an int8 RSQRT table and a depthwise Conv with run-time filter and bias."""
    channels, s_x = len(p.gamma), np.float32(p.scale)
    both = g.const([1, 2], np.int64)
    dx = g.dq(x, s_x, p.zero)
    mc = g.q(g.op("ReduceMean", dx, g.const([2], np.int64), keepdims=1), s_x, p.zero)
    mc16 = g.q(g.dq(mc, s_x, p.zero), s_x / 128, 0, "int16")
    m16 = g.q(g.op("ReduceMean", g.dq(mc16, s_x / 128, 0, "int16"), both, keepdims=0), s_x / 128, 0, "int16")
    mean = g.op("Cast", m16, to=6)
    d = max(1, int(np.ceil(p.energy_codes * 1.1 * 128 / 255)))
    s_e = np.float32(s_x * s_x * channels * d / 128)
    e = g.q(g.op("ReduceSumSquare", dx, g.const([1], np.int64), keepdims=1), s_e, -128)
    e16 = g.q(g.dq(e, s_e, -128), s_e / 128, 0, "int16")
    e1 = g.q(g.op("ReduceMean", g.dq(e16, s_e / 128, 0, "int16"), both, keepdims=0), s_e / 128, 0, "int16")
    table = p.variance_codes * 1.44 / 255  # codes^2 a step
    v = g.op("Sub", g.op("Cast", e1, to=6), g.op("Div", g.op("Mul", mean, mean), g.const([d], np.int32)))
    v = g.op("Max", v, g.const([int(np.ceil(table * 16384 / d))], np.int32))
    s_v = np.float32(table * s_x * s_x)
    v8 = g.q(g.dq(v, np.float32(s_x * s_x * d / 16384), 0, "int32"), s_v, -128)
    s_r = np.float32(1.2 / np.sqrt(p.variance_codes) / s_x / 127)
    r = g.q(g.op("Reciprocal", g.op("Sqrt", g.dq(v8, s_v, -128))), s_r, 0)
    amount = g.op("Cast", r, to=6)
    sign = np.where(p.gamma < 0, -1, 1).astype(np.int32)
    s_a = (np.abs(p.gamma) * s_r).astype(np.float32)
    weight = g.op("Cast", g.op("Mul", amount, g.const(sign.reshape(-1, 1, 1))), to=3)
    s_b = s_x * s_a
    beta = g.const(np.round(p.beta / s_b).astype(np.int32))
    bias = g.op("Sub", beta, g.op("Mul", g.op("Div", g.op("Mul", mean, amount), g.const([128], np.int32)), g.const(sign)))
    return g.q(g.op("Conv", dx, g.dq(weight, s_a, 0), g.dq(bias, s_b, 0, "int32"), group=channels), *out, out=name)


def add_b14(g: QdqGraph, x: str, p: NormParameters, out: tuple[float, int], name: str) -> str:
    """int16 element-wise arithmetic and an int8 RSQRT table; no int32 arithmetic at all."""
    s_x = np.float32(p.scale)
    s16 = np.float32(s_x / 128)

    def ceil_log2(value: float) -> int:
        return int(np.ceil(np.log2(value)))

    def mean(value: str, scale: float, last: float) -> str:
        over_time = g.q(g.op("ReduceMean", g.dq(value, scale, 0, "int16"), g.const([2], np.int64), keepdims=1), scale, 0, "int16")
        over_all = g.op("ReduceMean", g.dq(over_time, scale, 0, "int16"), g.const([1], np.int64), keepdims=1)
        return g.q(over_all, last, 0, "int16")

    def i16(value: str, scale: float) -> str:
        return g.dq(value, scale, 0, "int16")

    x16 = g.q(g.dq(x, s_x, p.zero), s16, 0, "int16")
    d = g.q(g.op("Sub", i16(x16, s16), i16(mean(x16, s16, s16), s16)), s16, 0, "int16")
    reach = max(127 - p.zero, 128 + p.zero) * 128
    k1 = ceil_log2(reach * reach / 32767)
    s_sq = np.float32(s16 * s16 * np.float32(2.0**k1))
    square = g.q(g.op("Mul", i16(d, s16), i16(d, s16)), s_sq, 0, "int16")
    j1 = max(0, 14 - ceil_log2(p.variance_codes * 2**14 / 2**k1))
    v = mean(square, s_sq, s_sq / 2**j1)
    s_v = np.float32(p.variance_codes * 1.44 / 255 * s_x * s_x)
    v8 = g.q(i16(v, s_sq / 2**j1), s_v, -128)
    v8 = g.q(g.op("Max", g.dq(v8, s_v, -128), g.dq(g.const([-127], np.int8), s_v, -128)), s_v, -128)
    s_r = 2.0 ** ceil_log2(1.2 / (np.sqrt(p.variance_codes) * s_x) / 255)
    r8 = g.q(g.op("Reciprocal", g.op("Sqrt", g.dq(v8, s_v, -128))), s_r, -128)
    r = g.q(g.dq(r8, s_r, -128), s_r / 128, 0, "int16")
    s_g = 2.0 ** (ceil_log2(float(np.abs(p.gamma).max())) - 14)
    gamma = g.const(np.round(p.gamma / s_g).astype(np.int16).reshape(1, -1, 1))
    s_a = s_r / 128 * s_g * 2**15
    a = g.q(g.op("Mul", i16(r, s_r / 128), i16(gamma, s_g)), s_a, 0, "int16")
    k2 = max(0, ceil_log2(6 / 32767 / (s16 * s_a)))
    s_n = np.float32(s16 * np.float32(s_a) * np.float32(2.0**k2))
    n = g.q(g.op("Mul", i16(d, s16), i16(a, s_a)), s_n, 0, "int16")
    s_beta = max(float(np.abs(p.beta).max()), 1e-6) / 32767
    beta = g.const(np.round(p.beta / s_beta).astype(np.int16).reshape(1, -1, 1))
    s_y16 = np.float32(out[0] / 120.7)
    y16 = g.q(g.op("Add", i16(n, s_n), i16(beta, s_beta)), s_y16, 0, "int16")
    return g.q(i16(y16, s_y16), *out, out=name)
