"""Golden steps: a clip, and the CRC32 of what LiteRT's reference kernels give and of what is remembered after each of the first steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.package.c_int8.c_source import c_array
from pipeline.package.c_int8.delay_lines import DelayLine
from pipeline.package.c_int8.flatbuffer_reader import Array, Graph, Tensor
from pipeline.package.c_int8.golden import ReferenceKernels, crc32

STEPS = 8  # whose results and memory are checked one by one; all later ones by the samples at the end


@dataclass
class GoldenStream:
    """A clip [n], the CRC32 of all samples, and for each of the first steps that of its samples and of each line's bytes, oldest first."""

    pcm: Array
    steps: list[tuple[int, list[int]]] = field(default_factory=list)
    all_samples: int = 0


class ReferenceStream:
    """A streaming file in LiteRT's reference kernels, and a host that keeps all that it ever gave."""

    def __init__(self, file: Path, graph: Graph, lines: Sequence[DelayLine]) -> None:
        self._kernels, self._graph, self._lines = ReferenceKernels(file), graph, lines
        self._ever = {line: np.full(line.length // line.output.dtype.itemsize, line.initial, line.output.dtype) for line in lines}

    def push(self, pcm: Array) -> Array:
        """The samples of a step, flat."""
        past: dict[Tensor, Array] = {}
        for line, ever in self._ever.items():
            for tensor, ago in line.ago.items():
                start = ever.size - ago // ever.itemsize
                past[tensor] = ever[start : start + tensor.size]
        self._kernels.run([past.get(tensor, pcm) for tensor in self._graph.inputs])
        for line in self._lines:
            self._ever[line] = np.concatenate([self._ever[line], self._kernels.tensor(line.output).reshape(-1)])
        remembered = {line.output for line in self._lines}
        (separated,) = (tensor for tensor in self._graph.outputs if tensor not in remembered)
        return self._kernels.tensor(separated).reshape(-1).copy()

    def kept(self, line: DelayLine) -> Array:
        """What a line holds after the last step."""
        ever = self._ever[line]
        return ever[ever.size - line.length // ever.itemsize :]


def golden_stream(file: Path, graph: Graph, lines: Sequence[DelayLine], hop: int, pcm: Array) -> GoldenStream:
    """Run a clip, int16, through the reference kernels; what does not fill a hop of its end is left out."""
    stream, samples = ReferenceStream(file, graph, lines), []
    golden = GoldenStream(pcm[: len(pcm) // hop * hop])
    for start in range(0, len(golden.pcm), hop):
        samples.append(stream.push(golden.pcm[start : start + hop]))
        if len(golden.steps) < STEPS:
            golden.steps.append((crc32(samples[-1]), [crc32(stream.kept(line)) for line in lines]))
    golden.all_samples = crc32(np.concatenate(samples))
    return golden


def golden_stream_h(golden: GoldenStream, lines: Sequence[DelayLine], prefix: str) -> str:
    """The header: ``golden_pcm``, ``golden_steps``, ``golden_crc`` of all samples, and ``golden_names`` of the lines."""
    guard = f"{prefix.upper()}_GOLDEN_H"
    rows = "\n".join(f"    {{0x{crc:08x}u, {{{', '.join(f'0x{item:08x}u' for item in kept)}}}}}," for crc, kept in golden.steps)
    names = "\n".join(f'    "{line.output.name}",' for line in lines)
    return f"""/* A clip, and the CRC32 of what TFLite's reference kernels give, and remember, step by step. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#define GOLDEN_STEPS {len(golden.steps)}

{c_array("static const int16_t golden_pcm[]", golden.pcm.tolist())}
static const char *const golden_names[] = {{
{names}
}};

static const struct {{
    uint32_t separated, kept[{len(lines)}];
}} golden_steps[GOLDEN_STEPS] = {{
{rows}
}};

static const uint32_t golden_crc = 0x{golden.all_samples:08x}u; /* of all samples, step by step */

#endif
"""
