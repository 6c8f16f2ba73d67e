"""A random small graph of one op, and what its numbers are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from tests.conformance.qdq_graph import QdqGraph

LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}


@dataclass
class Case:
    """A graph, the shapes of its outputs and random inputs with the extreme codes among them."""

    graph: QdqGraph
    rng: Generator
    outputs: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)

    def x(self, name: str, shape: tuple[int, ...], dtype: str = "int8", low: int | None = None, high: int | None = None) -> str:
        lowest, highest = LIMITS[dtype]
        low, high = lowest if low is None else low, highest if high is None else high
        value = self.rng.integers(low, high + 1, shape)
        flat = value.reshape(-1)
        flat[: min(2, flat.size)] = [low, high][: min(2, flat.size)]
        self.inputs[name] = value.astype(dtype)
        return self.graph.input(name, shape, dtype)

    def out(self, name: str, shape: tuple[int, ...], dtype: str = "int8") -> None:
        self.outputs[name] = (dtype, shape)


def scale(rng: Generator, low: float = 0.004, high: float = 0.2) -> float:
    return float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))


def mantissa12(value: float) -> float:
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.round(mantissa * 2**12) / 2**12, exponent))


def zero(rng: Generator) -> int:
    return int(rng.choice([-128, 127, 0, int(rng.integers(-127, 127))]))


def size(rng: Generator) -> tuple[int, int, int]:
    return 1, int(rng.integers(1, 20)), int(rng.integers(2, 40))
