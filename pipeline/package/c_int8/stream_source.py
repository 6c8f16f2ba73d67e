"""The text of ``model_stream.h`` and ``model_stream.c``: a network that is pushed a hop of samples and gives a hop."""

from __future__ import annotations

from collections.abc import Sequence

from export_specs.file_metadata import FileMetadata
from pipeline.package.c_int8.c_source import ProgramSource
from pipeline.package.c_int8.delay_lines import DelayLine
from pipeline.package.c_int8.layout import Layout


def stream_c(program: ProgramSource, layout: Layout, lines: Sequence[DelayLine], prefix: str, origin: str) -> str:
    """Parameters, steps and the functions of ``model_stream.h``."""
    offsets = dict(layout.kept)
    rows = "\n".join(
        f"    {{{offsets[line.holds]}, {{{line.length}, {line.initial}, {line.output.dtype.itemsize}}}}}, /* {line.output.name} */"
        for line in lines
    )
    ((pcm, source),), ((separated, result),) = layout.inputs, layout.outputs
    return f"""/* {origin} */
#include "model_stream.h"

#include "program.h"
#include "weights.h"

#include <string.h>

{program.text()}
const struct fq_delay_line_place {prefix}_kept[] = {{
{rows}
}};

void {prefix}_reset(struct {prefix} *state)
{{
    for (int32_t i = 0; i < {prefix.upper()}_KEPT; i++) {{
        fq_delay_line_reset((struct fq_delay_line *)(void *)(state->arena.bytes + {prefix}_kept[i].place), &{prefix}_kept[i].shape);
    }}
}}

void {prefix}_push(struct {prefix} *state, const int16_t *pcm_hop, int16_t *separated)
{{
    memcpy(state->arena.bytes + {source}, pcm_hop, {pcm.nbytes});
    fq_run(&program, state->arena.bytes);
    memcpy(separated, state->arena.bytes + {result}, {separated.nbytes});
}}
"""


def stream_h(layout: Layout, prefix: str, origin: str, facts: FileMetadata) -> str:
    """The interface of the network."""
    assert facts.streaming is not None
    upper, hop, latency = prefix.upper(), facts.segment_samples, facts.streaming.latency_samples
    guard = f"{upper.removesuffix('_STREAM')}_MODEL_STREAM_H"
    return f"""/* {origin}
 *
 * The network step by step: {hop} samples in, {hop} samples of each source out, at {facts.sample_rate} Hz. They belong to the {hop} samples
 * {latency - hop} earlier, so the latency is {latency} samples. Samples must be at level: stream.h does that.
 */
#ifndef {guard}
#define {guard}

#include "kernels/delay_line.h"

#include <stdint.h>

#define {upper}_SOURCES {facts.sources}
#define {upper}_HOP {hop}
#define {upper}_LATE {latency - hop}
#define {upper}_SAMPLE_RATE {facts.sample_rate}
#define {upper}_ARENA_BYTES {layout.arena_bytes} /* of which {sum(tensor.nbytes for tensor, _ in layout.kept)} hold from step to step */
#define {upper}_KEPT {len(layout.kept)}

/* One stream: its memory and all that it remembers. Any number may run side by side. */
struct {prefix} {{
    union {{
        int64_t alignment;
        unsigned char bytes[{upper}_ARENA_BYTES];
    }} arena;
}};

/* A stream begins: to be called before the first push. */
void {prefix}_reset(struct {prefix} *state);

/* The next {upper}_HOP samples of the mixture; gives as many of each source, one source after the other. */
void {prefix}_push(struct {prefix} *state, const int16_t *pcm_hop, int16_t *separated);

/* What it remembers, for tests. */
extern const struct fq_delay_line_place {prefix}_kept[{upper}_KEPT];

#endif
"""
