"""What a model file says of itself, whatever its format: its tensors, their quantization, its ops and its metadata."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from export_specs.foundation.file_kind import HEAD_BYTES, kind_of
from export_specs.layout import Layout

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Quantization:
    """value = scale · (code − zero_point), per tensor (one scale) or along ``axis`` of the file's own layout.

    ``scale`` is float32 [1] or [C], positive; ``zero_point`` is int64 of the same length.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    axis: int = 0


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: its name, shape (−1 where the file leaves it open), numpy type name and quantization.

    ``index`` is the tensor's number in a TFLite file, −1 in ONNX. ``layout`` says where its axes are in ONNX, if a TFLite file tells it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    index: int = -1
    layout: Layout | None = None

    def __str__(self) -> str:
        text = f"'{self.name}' {self.dtype} [{', '.join('?' if size < 0 else str(size) for size in self.shape)}]"
        if self.quantization is not None and self.quantization.scale.size == 1:
            text += f" scale {self.quantization.scale[0]:.6g} zero point {self.quantization.zero_point[0]}"
        return text

    @property
    def is_integer(self) -> bool:
        """True for the code types a quantized graph computes with (8, 16 and 32 bits)."""
        return self.dtype in ("int8", "uint8", "int16", "uint16", "int32")

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's data; 0 for a type that numpy does not know."""
        try:
            size = np.dtype(self.dtype).itemsize
        except TypeError:
            return 0
        return math.prod(abs(length) for length in self.shape) * size


@dataclass(frozen=True)
class ModelFile:
    """A parsed model file.

    ``activations`` are the tensors that a node computes, in the order of the nodes; what a loop computes inside is none of them.
    ``dtypes`` counts every tensor by type and ``ops`` every node by operator, those of loops included. ``largest_node_bytes``: of the
    tensors of the largest node, and of all loops. ``metadata`` is what the exporter wrote, None in a foreign file.
    """

    path: Path
    format: str
    content: bytes
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    activations: tuple[TensorInfo, ...]
    largest_node_bytes: int
    dtypes: Counter[str]
    ops: Counter[str]
    metadata: FileMetadata | None


def read_model(path: Path) -> ModelFile:
    """Parse a ``.tflite`` or ``.onnx`` file; which of both is told by its content.

    Raises:
        UserError: there is no such file, or it is neither a whole TFLite file nor a whole ONNX file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the model {path}: {error.strerror}. Is the path right, and has the model been made?") from error
    if content[4:8] == b"TFL3":
        from edge_runtime.tflite_file import parse_tflite

        return parse_tflite(path, content)
    kind = kind_of(content[:HEAD_BYTES])
    if kind is not None:
        raise UserError(f"{path} is neither a TFLite nor an ONNX file: it is {kind}")
    if path.suffix == ".tflite":
        raise UserError(
            f"{path} is not a TFLite file (the identifier TFL3 is missing from its {len(content)} bytes): make or copy it again"
        )
    from edge_runtime.onnx_file import parse_onnx

    return parse_onnx(path, content)
