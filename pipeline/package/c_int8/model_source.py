"""The text of ``model.h`` and ``model.c``: a network that runs over a whole segment."""

from __future__ import annotations

import textwrap

from pipeline.package.c_int8.c_source import ProgramSource
from pipeline.package.c_int8.layout import Layout


def model_c(program: ProgramSource, layout: Layout, prefix: str, origin: str) -> str:
    """Parameters, steps and the functions of ``model.h``."""
    places = {
        side: ", ".join(str(offset) for _, offset in tensors) for side, tensors in (("input", layout.inputs), ("output", layout.outputs))
    }
    return f"""/* {origin} */
#include "model.h"

#include "program.h"
#include "weights.h"

{program.text()}static const int32_t input_places[] = {{{places["input"]}}};
static const int32_t output_places[] = {{{places["output"]}}};

int16_t *{prefix}_input(struct {prefix} *state, int index)
{{
    return (int16_t *)(void *)(state->arena.bytes + input_places[index]);
}}

const int16_t *{prefix}_output(const struct {prefix} *state, int index)
{{
    return (const int16_t *)(const void *)(state->arena.bytes + output_places[index]);
}}

void {prefix}_run(struct {prefix} *state)
{{
    fq_run(&program, state->arena.bytes);
}}

int32_t {prefix}_run_step(struct {prefix} *state, int32_t index)
{{
    return fq_run_step(&program, state->arena.bytes, index);
}}
"""


def model_h(layout: Layout, prefix: str, origin: str, description: str) -> str:
    """The interface of the network; ``description`` goes into its comment."""
    upper = prefix.upper()
    sizes = "".join(
        f"#define {upper}_{side}_{index}_VALUES {tensor.size} /* {tensor.name} {list(tensor.shape)} */\n"
        for side, tensors in (("INPUT", layout.inputs), ("OUTPUT", layout.outputs))
        for index, (tensor, _) in enumerate(tensors)
    )
    return f"""/* {origin}
 *
{textwrap.indent(description, " * ", lambda _: True)}
 */
#ifndef {upper}_MODEL_H
#define {upper}_MODEL_H

#include <stdint.h>

#define {upper}_ARENA_BYTES {layout.arena_bytes}
#define {upper}_STEPS {len(layout.steps)}
#define {upper}_INPUTS {len(layout.inputs)}
#define {upper}_OUTPUTS {len(layout.outputs)}
{sizes}
/* All that one instance of the network changes. Any number may run side by side. */
struct {prefix} {{
    union {{
        int64_t alignment;
        unsigned char bytes[{upper}_ARENA_BYTES];
    }} arena;
}};

/* Where input `index` is to be written before a run, int16. A run overwrites it. */
int16_t *{prefix}_input(struct {prefix} *state, int index);

/* Output `index` of the last run, int16; it holds until the next run or the next write to an input. */
const int16_t *{prefix}_output(const struct {prefix} *state, int index);

/* One run over a whole segment. */
void {prefix}_run(struct {prefix} *state);

/* The same step by step, to look at tensors between them: runs step `index` and gives the next one; the first is 0, and there is none
 * at {upper}_STEPS. */
int32_t {prefix}_run_step(struct {prefix} *state, int32_t index);

#endif
"""
