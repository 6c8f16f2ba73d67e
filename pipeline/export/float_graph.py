"""A small builder of float ONNX graphs: tensors [1, C, T], and sequences [1, N, L, C] where a layer works on each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor


class FloatGraph:
    """Nodes and initializers of the graph being written; ``shapes`` of tensors as the layers have them, channels last."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.constants: set[str] = set()
        self.made: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | Tensor) -> str:
        """An initializer; the same name is written once."""
        if name in self.constants:
            return name
        self.constants.add(name)
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.made.add(output)
        return output

    def sizes(self, name: str) -> tuple[int, int]:
        """Frequencies and frames of a tensor; a waveform has one frequency."""
        shape = self.shapes[name]
        return (shape[1], shape[2]) if len(shape) == 4 else (1, shape[1])

    def reshape(self, name: str, shape: list[int], output: str) -> str:
        return self.add("Reshape", [name, self.constant(f"{output}.shape", np.array(shape))], output)

    def slice(self, name: str, axis: int, start: int, stop: int, output: str) -> str:
        bounds = [self.constant(f"{output}.{key}", np.array([value])) for key, value in (("start", start), ("stop", stop), ("axis", axis))]
        return self.add("Slice", [name, *bounds], output)

    def as_sequences(self, name: str, shape: tuple[int, ...], output: str) -> str:
        """Frames [1, C, N L] as sequences [1, N, L, C], the ``shape``."""
        return self.reshape(self.add("Transpose", [name], f"{output}.rows", perm=[0, 2, 1]), list(shape), output)

    def as_frames(self, name: str, frames: int, channels: int, output: str) -> str:
        """Sequences [1, N, L, C] as frames [1, C, N L]."""
        return self.add("Transpose", [self.reshape(name, [1, frames, channels], f"{output}.rows_of_all")], output, perm=[0, 2, 1])
