"""golden_vectors.npz: inputs, outputs and inner tensors of BUILTIN_REF, with CRC32s, to check a device against.

Arrays, of clip k:

* ``input_<k>`` int16 [T] and ``output_<k>`` int16 [S, T]; with A audio channels [A, T] and [S, A, T].
* ``tensor_<k>_<j>``: inner tensor j, with the axes of the ONNX file. ``tensor_names`` str [J] names them.
* ``crc_keys`` str and ``crc_values`` uint32: zlib.crc32 of each of the arrays above, of its little-endian bytes in C order.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export_specs.foundation.atomic import atomic_path
from export_specs.foundation.errors import choice_error
from validation.layers import OUTPUT, Codes


def write_golden_vectors(
    path: Path, clips: Sequence[npt.NDArray[np.int16]], golden: Sequence[Mapping[str, Codes]], names: Sequence[str] | None, spread: int = 16
) -> list[str]:
    """Write the vectors of the clips; ``names`` None takes ``spread`` tensors evenly over the network. Gives the names.

    Raises:
        UserError: a name is no inner tensor.
    """
    available = [name for name in golden[0] if name != OUTPUT]
    for name in names or []:
        if name not in available:
            raise choice_error("inner tensor", name, available)
    count = min(spread, len(available))
    chosen = list(names) if names is not None else [available[k * len(available) // count] for k in range(count)]
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for number, (clip, tensors) in enumerate(zip(clips, golden, strict=True)):
        arrays[f"input_{number}"] = clip
        arrays[f"output_{number}"] = tensors[OUTPUT]
        for position, name in enumerate(chosen):
            arrays[f"tensor_{number}_{position}"] = tensors[name]
    arrays = {key: np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False) for key, array in arrays.items()}
    checksums = np.array([zlib.crc32(array.tobytes()) for array in arrays.values()], np.uint32)
    extra = {"tensor_names": np.array(chosen), "crc_keys": np.array(list(arrays)), "crc_values": checksums}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **extra, **arrays)  # type: ignore[arg-type]
    return chosen
