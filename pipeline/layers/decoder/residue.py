"""A convolution whose result is two int8 tensors: the result rounded, and what that rounding has left, on a grid 256 times as fine.

The second is a convolution too. Its int32 sums take the input with the same weights, and beside it the first result, whose weight is minus
the number of the sum's steps that make one step of it. That is too large for one int8 weight, so several channels carry the same codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.export.qdq_graph import INT8, INT32, GraphBuilder, Value
from pipeline.layers.convolution.to_onnx import PLANE
from pipeline.quantization.grid import WEIGHT_QMAX, CorrectionQuantizer, FixedQuantizer, SymmetricQuantizer


class Reconstructor(Protocol):
    """A layer that gives its result in two parts."""

    @property
    def high_quantizer(self) -> SymmetricQuantizer | FixedQuantizer:
        """The grid of the result."""

    @property
    def correction_quantizer(self) -> CorrectionQuantizer:
        """The grid of what rounding has left."""

    @property
    def stride(self) -> int:
        """Samples from frame to frame."""


@dataclass(frozen=True)
class Kernel:
    """Weights of a convolution over frames: ``codes`` int8 [O, N, taps], or [O, N, taps, 1] over the height of a plane.

    ``scale`` [O]. ``steps`` [O]: how many steps of the sum make one of the first result
    (:meth:`pipeline.quantization.grid.WholeStepsQuantizer.steps`). ``bias`` [O], in real units.
    """

    codes: np.ndarray
    scale: np.ndarray
    steps: np.ndarray
    bias: np.ndarray

    @property
    def taps(self) -> int:
        """Frames that one output frame is a sum over."""
        return int(self.codes.shape[2])


def frame_kernel(codes: np.ndarray, scale: np.ndarray, steps: np.ndarray, bias: np.ndarray, stride: int) -> Kernel:
    """A transposed convolution [C, N, K] as one over frames: output c * stride + s is sample s of a frame of channel c."""
    phases = [phase_kernel(codes, scale, steps, bias, stride, phase).codes for phase in range(stride)]
    joined = np.stack(phases, axis=1).reshape(-1, *phases[0].shape[1:])  # [C * stride, N, taps]
    return Kernel(joined, *(np.repeat(values, stride) for values in (scale, steps, bias)))


def phase_kernel(codes: np.ndarray, scale: np.ndarray, steps: np.ndarray, bias: np.ndarray, stride: int, phase: int) -> Kernel:
    """Every stride-th sample of a transposed convolution [C, N, K], from ``phase`` on, as a convolution of padded frames."""
    taps = -(-codes.shape[2] // stride)
    whole = np.zeros((*codes.shape[:2], taps * stride), codes.dtype)
    whole[:, :, : codes.shape[2]] = codes
    return Kernel(np.ascontiguousarray(whole[:, :, phase::stride][:, :, ::-1]), scale, steps, bias)


def emit_parts(
    graph: GraphBuilder,
    x: Value,
    kernel: Kernel,
    layer: Reconstructor,
    weight: str,
    names: tuple[str, str],
) -> tuple[str, str]:
    """Both results of the convolution of x, [1, N, F] or a plane [1, N, F, W], as codes with taps - 1 frames fewer.

    ``weight``: what the weights' names begin with, which the calls of one layer share. ``names`` of the two results.
    """
    high_name, correction_name = names
    plane = f"/{PLANE}" if kernel.codes.ndim == 4 else ""
    bias = np.rint(kernel.bias.astype(np.float64) / (x.grid() * kernel.scale))
    operands = [graph.read(x), graph.weight(f"{weight}.weight", kernel.codes, kernel.scale, 0)]
    if bias.any():
        operands.append(graph.integer_bias(f"{weight}.bias", bias, x.grid(), kernel.scale))
    edge = graph.node("Conv", operands, f"{high_name}/conv")
    scale, zero_point = layer.high_quantizer.grid()
    high = graph.quantize(edge, f"{high_name}{plane}", np.float32(scale.item()), int(zero_point.item()))

    copies = spread(-kernel.steps.astype(np.int64))
    codes = _codes_on(graph, high, (np.float32(scale.item()), int(zero_point.item())), x, f"{high_name}/{{}}{plane}")
    rank = kernel.codes.ndim
    held = graph.pad(codes, [0] * (rank + 2) + [kernel.taps - 1] + [0] * (rank - 3), x.zero_point, f"{high_name}/held{plane}")
    both = graph.concat([x.name, *[held] * len(copies)], f"{correction_name}/sources{plane}", axis=1)
    extended = np.concatenate([kernel.codes, *(_at_first_tap(values, kernel.codes) for values in copies)], axis=1)
    read_from_zero = bias + copies.sum(0) * x.zero_point  # the sum takes every code less the input's zero point
    operands = [
        graph.dequantize(both, x.grid(), x.zero_point),
        graph.weight(f"{weight}.correction_weight", extended, kernel.scale, 0),
        graph.integer_bias(f"{weight}.correction_bias", read_from_zero, x.grid(), kernel.scale),
    ]
    edge = graph.node("Conv", operands, f"{correction_name}/conv")
    scale, zero_point = layer.correction_quantizer.grid()
    return high, graph.quantize(edge, f"{correction_name}{plane}", np.float32(scale.item()), int(zero_point.item()))


def _codes_on(graph: GraphBuilder, codes: str, grid: tuple[np.float32, int], x: Value, part: str) -> str:
    """The codes of a tensor on a ``grid`` on that of x. ``part``: how the tensors made for it are called.

    Casts know no scales. Without int32 (``GraphBuilder.narrow_ends``) the zero point is moved by a sum with a constant, and the scale
    changed by a product with one; both leave all codes as they are.
    """
    if not graph.narrow_ends:
        return graph.node("Cast", [graph.node("Cast", [codes], part.format("wide"), to=INT32)], part.format("codes"), to=INT8)
    scale, zero_point = grid
    moved = zero_point - x.zero_point
    edge = graph.dequantize(codes, scale, zero_point)
    if moved:
        code, step = (moved, scale) if moved < 128 else (moved // 2, np.float32(2 * scale))  # 128 is twice 64
        constant = graph.dequantize(graph.const(part.format("shift"), [code], np.int8), step)
        total = graph.quantize(graph.node("Add", [edge, constant], part.format("sum")), part.format("moved"), scale, x.zero_point)
        edge = graph.dequantize(total, scale, x.zero_point)
    factor = graph.dequantize(graph.const(part.format("factor"), [1], np.int8), np.float32(x.grid() / scale))
    return graph.quantize(graph.node("Mul", [edge, factor], part.format("product")), part.format("codes"), x.grid(), x.zero_point)


def spread(values: np.ndarray) -> np.ndarray:
    """Integers [O] as sums over int8 weights [copies, O] that are as equal as they can be."""
    copies = max(1, int(-(-np.abs(values).max() // WEIGHT_QMAX)))
    whole, rest = np.divmod(np.abs(values), copies)
    parts: np.ndarray = np.sign(values) * (whole + (np.arange(copies)[:, None] < rest))
    return parts


def _at_first_tap(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Weights [O, O, taps, ...] that give each output its own channel times a value [O]."""
    weight = np.zeros((len(values), len(values), *like.shape[2:]), np.int8)
    channels = np.arange(len(values))
    first: tuple[Any, ...] = (channels, channels, *[0] * (like.ndim - 2))
    weight[first] = values
    return weight
