"""Golden clips: inputs, and the CRC32 of every tensor that LiteRT's reference kernels compute from them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.package.c_int8.c_source import c_array
from pipeline.package.c_int8.flatbuffer_reader import Array, Tensor
from pipeline.package.c_int8.layout import Layout

Clip = Sequence[Array]
"""The input tensors of one run."""


@dataclass(frozen=True)
class Golden:
    """Clips and, for each checkpoint and each clip, the CRC32 of the tensor's little-endian bytes."""

    clips: tuple[Clip, ...]
    checksums: tuple[tuple[int, ...], ...]


class ReferenceKernels:
    """A TFLite file in LiteRT's reference kernels, every tensor of the main graph kept."""

    def __init__(self, file: Path) -> None:
        self._interpreter = Interpreter(
            str(file), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, experimental_preserve_all_tensors=True, num_threads=1
        )
        self._interpreter.allocate_tensors()

    def run(self, clip: Clip) -> None:
        """Compute all tensors of a clip."""
        for detail, values in zip(self._interpreter.get_input_details(), clip, strict=True):
            self._interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]))
        self._interpreter.invoke()

    def tensor(self, tensor: Tensor) -> Array:
        """The codes of a tensor of the main graph in the last run."""
        return np.asarray(self._interpreter.get_tensor(tensor.index))


def golden_of(file: Path, layout: Layout, clips: Sequence[Clip]) -> Golden:
    """Run the clips through the reference kernels."""
    reference, columns = ReferenceKernels(file), []
    for clip in clips:
        reference.run(clip)
        columns.append([crc32(reference.tensor(checkpoint.tensor)) for checkpoint in layout.checkpoints])
    return Golden(tuple(clips), tuple(zip(*columns, strict=True)))


def crc32(codes: Array) -> int:
    """Of the little-endian bytes in C order."""
    return zlib.crc32(np.ascontiguousarray(codes).astype(codes.dtype.newbyteorder("<"), copy=False).tobytes())


def golden_h(golden: Golden, layout: Layout, prefix: str) -> str:
    """The header: ``golden_inputs[clip][input]`` and ``golden_tensors``, of which each is complete after its step."""
    count = len(golden.clips)
    arrays = [
        f"#if GOLDEN_CLIPS > {clip}\n"
        + c_array(f"static const int16_t golden_input_{clip}_{index}[]", np.asarray(values).reshape(-1).tolist())
        + "#endif\n"
        for clip, tensors in enumerate(golden.clips)
        for index, values in enumerate(tensors)
    ]
    inputs = "\n".join(
        f"#if GOLDEN_CLIPS > {clip}\n    {{{', '.join(f'golden_input_{clip}_{index}' for index in range(len(tensors)))}}},\n#endif"
        for clip, tensors in enumerate(golden.clips)
    )
    rows = "\n".join(
        f'    {{"{checkpoint.tensor.name}", {checkpoint.step}, {checkpoint.offset}, {checkpoint.tensor.nbytes}, '
        f"{{{', '.join(f'0x{value:08x}u' for value in sums)}}}}},"
        for checkpoint, sums in zip(layout.checkpoints, golden.checksums, strict=True)
    )
    return f"""/* Clips and the CRC32 of every tensor that TFLite's reference kernels compute from them. Build with -DGOLDEN_CLIPS=1 where
 * memory is short. */
#ifndef {prefix.upper()}_GOLDEN_H
#define {prefix.upper()}_GOLDEN_H

#include <stdint.h>

#define GOLDEN_CLIPS_MADE {count}
#ifndef GOLDEN_CLIPS
#define GOLDEN_CLIPS GOLDEN_CLIPS_MADE
#endif
#if GOLDEN_CLIPS < 1 || GOLDEN_CLIPS > GOLDEN_CLIPS_MADE
#error "GOLDEN_CLIPS must be 1 to {count}"
#endif

{"".join(arrays)}
static const int16_t *const golden_inputs[GOLDEN_CLIPS][{len(layout.inputs)}] = {{
{inputs}
}};

struct golden_tensor {{
    const char *name;
    int32_t step, offset, bytes;
    uint32_t crc[GOLDEN_CLIPS_MADE];
}};

static const struct golden_tensor golden_tensors[] = {{
{rows}
}};

#endif
"""
