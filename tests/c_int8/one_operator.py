"""TFLite files of one operator with any shapes, grids and options, beyond those that the networks have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from export_specs.file_metadata import FileMetadata
from pipeline.convert.builtin_operators import BuiltinOperator
from pipeline.convert.flatbuffer import FlatbufferBuilder

Scales = float | Sequence[float] | None


@dataclass(frozen=True)
class Given:
    """A tensor of a file: ``scale`` None for none, several for one a channel along ``axis``; ``data`` makes it a constant."""

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: Scales = None
    zero_point: int = 0
    data: np.ndarray | None = None
    axis: int = 0

    def add(self, builder: FlatbufferBuilder, name: str) -> int:
        scales = None if self.scale is None else np.atleast_1d(np.asarray(self.scale, np.float32))
        zeros = None if scales is None else np.full(scales.shape, self.zero_point, np.int64)
        data = None if self.data is None else np.asarray(self.data, self.dtype).reshape(self.shape)
        return builder.tensor(name, self.shape, np.dtype(self.dtype), scales, zeros, self.axis, data)


def constant(values: object, dtype: str = "int32") -> Given:
    array = np.asarray(values, dtype)
    return Given(array.shape, dtype, data=array)


def write_operator(
    path: Path,
    builtin: BuiltinOperator,
    inputs: Sequence[Given | None],
    outputs: Sequence[Given],
    metadata: FileMetadata | None = None,
    **options: object,
) -> Path:
    """The file; its inputs are those of the operator that are no constants."""
    builder = FlatbufferBuilder()
    sources = [-1 if item is None else item.add(builder, f"x{index}") for index, item in enumerate(inputs)]
    results = [item.add(builder, f"y{index}") for index, item in enumerate(outputs)]
    builder.operator(builtin, sources, results, options)
    free = {f"x{index}": tensor for index, (item, tensor) in enumerate(zip(inputs, sources, strict=True)) if item and item.data is None}
    path.write_bytes(builder.finish(free, {f"y{index}": tensor for index, tensor in enumerate(results)}, "one operator", metadata))
    return path


def codes(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
    """Codes over the whole range, with its ends among them."""
    limits = np.iinfo(dtype)
    value = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    value.reshape(-1)[:2] = [limits.min, limits.max][: value.size]
    return value


scales = st.floats(1e-3, 0.5).map(lambda value: float(np.float32(value)))
zero_points = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))
seeds = st.integers(0, 2**32 - 1)
quick = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
